"""Finished pictures that somebody brings: matched to the prompts, checked, taken as if generated.

A smaller set is never scored: whatever is missing or wrong is named, with the reason, and stops.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from diffusion4k import files, images
from diffusion4k.data import jpeg
from diffusion4k.errors import UserError
from diffusion4k.shape import Size, sides

SHOWN = 10  # faults in the line for people; the file has them all


def match(folder: Path, ids: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    """(id => image named after it, one line for each id that has none or several).

    Other files of the folder are no fault: it may hold pictures for other prompts too.
    """
    pictures: dict[str, list[Path]] = {id: [] for id in ids}
    others: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in images.SUFFIXES and path.stem in pictures:
            pictures[path.stem].append(path)
        else:
            others[files.alike(path.stem)] = path.name
    faults = []
    for id in (id for id, paths in pictures.items() if not paths):
        other, hint = others.get(files.alike(id)), ""
        if other:
            same = Path(other).stem == id
            hint = "is of no format that is read" if same else "is spelt otherwise; rename it"
            hint = f", and {other} {hint}"
        faults.append(f"{id}: missing{hint}")
    for id, paths in pictures.items():
        if len(paths) > 1:
            faults.append(f"{id}: several, {' and '.join(path.name for path in paths)}")
    return {id: paths[0] for id, paths in pictures.items() if len(paths) == 1}, faults


def lossless(target: Path) -> Path:
    """Where the pixels of a picture lie that was brought in another format, beside its JPEG."""
    return target.parent.parent / images.LOSSLESS / f"{target.stem}.png"


def kept(target: Path) -> list[Path]:
    """The JPEG of a picture, and its lossless file if it has one."""
    return [path for path in (target, lossless(target)) if path == target or path.is_file()]


def take(path: Path, target: Path, size: Size, *, png: bool = False) -> str:
    """Let `target`, a .jpg, be the picture at `path`, of `size` px; returns a note or "".

    A JPEG is copied as it lies (no hard link: who edits the original later must not change what a
    manifest vouches for), and the note says when its encoding is not that of generated images; any
    other format is written as quality-95 4:2:0 JPEG and, with `png`, without loss too. Raises
    UserError with the reason for one that is damaged, greyscale or CMYK, deeper than 8 bits, or of
    another size.
    """
    height, width = images.rgb_sides(path)
    if (height, width) != sides(size):
        rows, columns = sides(size)
        raise UserError(f"{path}: {width} x {height} px, not {columns} x {rows}")
    lossless(target).unlink(missing_ok=True)
    picture = images.load_rgb(path, exif_transpose=False)
    with Image.open(path) as opened:
        form = opened.format
    if form == "JPEG":
        with files.atomic(target) as temporary:
            shutil.copyfile(path, temporary)
        return jpeg.note(target)
    images.save_jpeg(target, np.asarray(picture))
    if png:
        images.save_png(lossless(target), np.asarray(picture))
    return form


def refuse(folder: Path, faults: Sequence[str], total: int, listing: Path) -> None:
    """Write all `faults` to `listing` and raise a UserError with the first ones, if there are any.

    A list that an earlier run left is removed when there are none.
    """
    listing.unlink(missing_ok=True)
    if not faults:
        return
    files.write_text(listing, "".join(f"{fault}\n" for fault in faults))
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    first = "; ".join(faults[:SHOWN])
    raise UserError(
        f"{folder}: {len(faults)} of {total} pictures are missing or wrong ({first}{more});"
        f" all are listed in {listing}"
    )
