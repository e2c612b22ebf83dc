"""The check of a split, what it holds, and its images under other captions."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from diffusion4k import images
from diffusion4k.config.endpoints import given
from diffusion4k.config.resolve import Config
from diffusion4k.dag import code
from diffusion4k.dag.paths import file
from diffusion4k.data import captions
from diffusion4k.endpoints import prompts
from diffusion4k.errors import UserError
from diffusion4k.files import walk

WATCHED = 1_000_000  # files of a folder without captions, beyond which none is looked at


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


def _below(folder: Path) -> list[tuple[str, int]]:
    """(name, bytes) of the images below a folder; none where there are too many to look at.

    Snakemake asks each time that it plans: a million files take it seconds.
    """
    paths = walk(folder, hidden=False, most=WATCHED)
    if len(paths) > WATCHED:
        return []
    pictures = (p for p in paths if p.suffix.lower() in images.SUFFIXES and p.is_file())
    return [(p.relative_to(folder).as_posix(), p.stat().st_size) for p in pictures]


def content(root: Path, folders: Iterable[tuple[str, bool]]) -> str:
    """Digest of the captions in these folders of a data set, and of the sizes of their images.

    `folders`: each with whether it is captioned; else, and where it has no metadata.jsonl, all
    images below it count, by name. Of nothing else that lies there, and of no times: what was
    trained on it is made again with it.
    """
    total = hashlib.sha256()
    for folder, captioned in sorted(set(folders)):
        listing = root / folder / captions.LISTING
        total.update(listing.read_bytes() if listing.is_file() else b"")
        if not captioned or not listing.is_file():  # captioned here: `captions`
            total.update(repr(_below(root / folder)).encode() if (root / folder).is_dir() else b"")
        try:
            samples = captions.read(root, folder)
        except UserError:
            samples = []  # the split's check says what is wrong
        sizes = [s.path.stat().st_size if s.path.is_file() else None for s in samples]
        total.update(repr((folder, sizes)).encode())
    return total.hexdigest()[:16]
