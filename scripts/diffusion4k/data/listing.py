"""Which images of a folder a VAE is trained on, and which are held out of it.

A training needs no captions, so a folder without metadata.jsonl counts too, however deep its images
lie (SA-1B); `write` makes its metadata.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from diffusion4k import images
from diffusion4k.data import captions
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.errors import UserError
from diffusion4k.files import inside, write_text
from diffusion4k.manifest import Manifest

TRAINING, HELD_OUT = "metadata.jsonl", "held-out.jsonl"


def of(dataset: Manifest, folder: str, *, captioned: bool) -> list[CaptionedImage]:
    """The images of a data set's folder, sorted by name unless they are captioned.

    Without captions: every file below the folder that is called as an image is; its id is its path
    there, "/" as "-". UserError when there is none, and for two of one id.
    """
    if captioned:
        return captions.of(dataset, folder)
    where, by_id = inside(dataset.root, folder).resolve(), {}
    for path in sorted(dataset.paths()):
        if path.suffix.lower() not in images.SUFFIXES or not path.resolve().is_relative_to(where):
            continue
        id = "-".join(path.resolve().relative_to(where).with_suffix("").parts)
        image = CaptionedImage(id, path, "", dataset.listed(path))
        if by_id.setdefault(id, image) is not image:
            raise UserError(f"{path}: its name is {by_id[id].path}'s too; rename one of them")
    if not by_id:
        raise UserError(f"{where}: no images there (listed in {dataset.path})")
    return list(by_id.values())


def divide(
    photographs: Iterable[CaptionedImage], held_out: int, *, seed: int
) -> tuple[list[CaptionedImage], list[CaptionedImage]]:
    """(training, held out): a function of each id and the seed, so that more images move few.

    UserError when nothing would be left to train on.
    """

    def place(photograph: CaptionedImage) -> str:
        return hashlib.sha256(f"{seed}/{photograph.id}".encode()).hexdigest()

    photographs = list(photographs)
    if held_out >= len(photographs):
        raise UserError(
            f"--held-out {held_out}: there are {len(photographs)} images; hold out fewer"
        )
    apart = {photograph.id for photograph in sorted(photographs, key=place)[:held_out]}
    return (
        [photograph for photograph in photographs if photograph.id not in apart],
        [photograph for photograph in photographs if photograph.id in apart],
    )


def write(path: Path, photographs: Iterable[CaptionedImage], root: Path) -> None:
    """A line an image: id, file_name relative to `root`, text. Atomic."""
    lines = [
        json.dumps({"id": p.id, "file_name": str(p.path.relative_to(root)), "text": p.text})
        for p in photographs
    ]
    write_text(path, "".join(f"{line}\n" for line in lines))


def read(listing: Manifest, dataset: Manifest) -> tuple[list[CaptionedImage], list[CaptionedImage]]:
    """(training, held out) as `write` left them in the folder of the manifest `listing`."""
    both = []
    for name in (TRAINING, HELD_OUT):
        text = listing.listed(listing.root / name).sound().read_text(encoding="utf-8")
        records = [json.loads(line) for line in text.splitlines()]
        pairs = [(record, inside(dataset.root, record["file_name"])) for record in records]
        both.append(
            [CaptionedImage(r["id"], path, r["text"], dataset.listed(path)) for r, path in pairs]
        )
    return both[0], both[1]
