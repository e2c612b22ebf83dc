"""The check of a split, what it holds, and its images under other captions."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from diffusion4k.config.endpoints import given
from diffusion4k.config.resolve import Config
from diffusion4k.dag import code
from diffusion4k.dag.paths import file
from diffusion4k.data import captions
from diffusion4k.endpoints import prompts
from diffusion4k.errors import UserError


def checked(config: Config, split: str) -> str:
    """The manifest that says that a split's images are whole, and how large they are."""
    return file(config, f"data/{split}.json")


def other_captions(config: Config) -> list[str]:
    """The entries of `captions` that can be had."""
    return [name for name, entry in config["captions"].items() if given(entry)]


def caption_code(config: Config, name: str) -> str:
    """Digest of the code of a job that captions, of the prompt it asks by and the captions given.

    Both by content and not as input: a touch must not train again.
    """
    entry = config["captions"][name]
    own = [Path(entry["path"]).expanduser()] if "path" in entry else []
    texts = [prompts.path("caption")] if "endpoint" in entry else []
    return code.of("caption.py", also=[*own, *texts])


def content(root: Path, folders: Iterable[str]) -> str:
    """Digest of the captions in these folders of a data set, and of the sizes of their images.

    Of nothing else that lies there, and of no times: what was trained on it is made again with it.
    """
    total = hashlib.sha256()
    for folder in sorted(set(folders)):
        listing = root / folder / captions.LISTING
        total.update(listing.read_bytes() if listing.is_file() else b"")
        if (root / folder).is_dir() and not listing.is_file():  # captioned here: `captions`
            paths = sorted(path for path in (root / folder).iterdir() if path.is_file())
            total.update(repr([(path.name, path.stat().st_size) for path in paths]).encode())
        try:
            samples = captions.read(root, folder)
        except UserError:
            samples = []  # the split's check says what is wrong
        sizes = [s.path.stat().st_size if s.path.is_file() else None for s in samples]
        total.update(repr((folder, sizes)).encode())
    return total.hexdigest()[:16]
