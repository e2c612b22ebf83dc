"""Sources: where the manifest of each is, what a gated one asks of its user."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from diffusion4k import images
from diffusion4k.config.resolve import Config, origin
from diffusion4k.dag import code
from diffusion4k.dag.paths import file
from diffusion4k.data import captions as listed
from diffusion4k.errors import UserError
from diffusion4k.files import walk
from diffusion4k.sources import hub

WATCHED = 1_000_000  # files of a folder without captions, beyond which none is looked at


def manifest(config: Config, source: str) -> str:
    """The manifest of a source."""
    return file(config, f"sources/{source}.json")


def of_split(config: Config, split: str, captions: str | None = None) -> str:
    """The data set that holds a split: its source, or that under other captions, if it has such.

    `captions`: one of `captions` in place of the split's own.
    """
    if other := captions or config["splits"][split].get("captions"):
        return recaptioned(config, other, split)
    return manifest(config, config["splits"][split]["source"])


def recaptioned(config: Config, captions: str, split: str) -> str:
    """The data set of a split's images under other captions."""
    return file(config, f"captions/{captions}/{split}.json")


def of_backbone(config: Config, backbone: str) -> str:
    """A backbone's own pipeline."""
    return manifest(config, config["backbones"][backbone]["source"])


def of_model(config: Config, model: str) -> str:
    """The pipeline that a model is, or is made from."""
    entry = config["models"][model]
    if "source" in entry:
        return manifest(config, entry["source"])
    return of_backbone(config, entry["backbone"])


def built(config: Config) -> list[str]:
    """The sources that are made here, the miniature's."""
    return [name for name, source in config["sources"].items() if origin(source) == "make"]


def fetched(config: Config) -> list[str]:
    """The sources that come from the hub, an address, or a path."""
    return [name for name, source in config["sources"].items() if origin(source) != "make"]


def licence(config: Config, source: str) -> str:
    """What a source asks of its user, in one line; empty for one that is open."""
    entry = config["sources"][source]
    if origin(entry) == "by_hand":
        return (
            f"source {source}: no program may fetch it; accept its licence and download it at"
            f" {entry['by_hand']}, then give sources.{source}.path"
        )
    if not entry.get("gated"):
        return ""
    return (
        f"source {source}: {entry['hub']} is gated; accept its licence at"
        f" https://huggingface.co/{entry['hub']} and set HF_TOKEN,"
        f" or give sources.{source}.path"
    )


def to_accept(config: Config, source: str) -> str | None:
    """What a source to be downloaded needs its user to accept, and whether a token is there."""
    need = licence(config, source)
    if not need or Path(manifest(config, source)).exists() or hub.offline():
        return None
    state = "a token is set, tried at the start" if hub.token_is_set() else "no token is set"
    return f"{need} ({state})"


def own_files(config: Config, source: str) -> str:
    """What changes with the files of a source that is the user's, so that they are listed anew.

    Of a model's pipeline names, sizes and times. Trainings may depend on everything else, and a
    touch must not train again: of data sets the captions and the sizes of images, in the splits'
    folders alone, without captions also below them; of the rest names, sizes and links' ends.
    """
    path = config["sources"][source].get("path")
    if not path:
        return ""
    root = Path(path).expanduser()
    if source.startswith("model_"):
        return code.listing(root)
    splits = [
        (split["folder"], split.get("captioned", True))
        for split in config["splits"].values()
        if split["source"] == source
    ]
    return content(root, splits) if splits else code.listing(root, times=False)


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
        listing = root / folder / listed.LISTING
        total.update(listing.read_bytes() if listing.is_file() else b"")
        if not captioned or not listing.is_file():  # captioned here: `captions`
            total.update(repr(_below(root / folder)).encode() if (root / folder).is_dir() else b"")
        try:
            samples = listed.read(root, folder)
        except UserError:
            samples = []  # the split's check says what is wrong
        sizes = [s.path.stat().st_size if s.path.is_file() else None for s in samples]
        total.update(repr((folder, sizes)).encode())
    return total.hexdigest()[:16]
