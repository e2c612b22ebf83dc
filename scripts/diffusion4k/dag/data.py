"""The check of a split, and what it holds."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from diffusion4k.config.resolve import Config
from diffusion4k.dag.paths import file
from diffusion4k.data import captions
from diffusion4k.errors import UserError


def checked(config: Config, split: str) -> str:
    """The manifest that says that a split's images are whole, and how large they are."""
    return file(config, f"data/{split}.json")


def content(root: Path, folders: Iterable[str]) -> str:
    """Digest of the captions in these folders of a data set, and of the sizes of their images.

    Of nothing else that lies there, and of no times: what was trained on it is made again with it.
    """
    total = hashlib.sha256()
    for folder in sorted(set(folders)):
        listing = root / folder / captions.LISTING
        total.update(listing.read_bytes() if listing.is_file() else b"")
        try:
            samples = captions.read(root, folder)
        except UserError:
            samples = []  # the split's check says what is wrong
        sizes = [s.path.stat().st_size if s.path.is_file() else None for s in samples]
        total.update(repr((folder, sizes)).encode())
    return total.hexdigest()[:16]
