"""Is a split of Aesthetic-4K whole, and how large are its images (paper, Table 9 and Figure 13)?"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from diffusion4k import cli, images
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.errors import UserError
from diffusion4k.files import atomic, sha256
from diffusion4k.shape import Size, sides


@dataclass(frozen=True)
class Inspection:
    """One image, decoded: size in pixels as seen (exif orientation applied), or what is wrong.

    `reasons` is empty for a sound image; `width` and `height` are 0 when it cannot be decoded.
    """

    id: str
    file_name: str
    width: int
    height: int
    sha256: str
    reasons: tuple[str, ...]


def inspect(sample: CaptionedImage, *, min_side: Size = 0, captioned: bool = True) -> Inspection:
    """Decode the whole image; check its sides (px) and, where it has one, its caption."""
    reasons = [] if sample.text.strip() or not captioned else ["no caption"]
    try:
        width, height = images.load_rgb(sample.path, exif_transpose=True).size
        digest = sha256(sample.sound())
    except UserError as error:
        width, height, digest = 0, 0, ""
        reasons.append(str(error).removeprefix(f"{sample.path}: "))
    else:
        least = sides(min_side)
        if height < least[0] or width < least[1]:
            limit = f"the shorter side must be at least {min_side}"
            if least[0] != least[1]:
                limit = f"at least {least[1]} x {least[0]} are asked"
            reasons.append(f"{width} x {height} px, {limit}")
    return Inspection(sample.id, sample.path.name, width, height, digest, tuple(reasons))


def inspect_all(
    samples: list[CaptionedImage], *, min_side: Size, workers: int, captioned: bool = True
) -> Iterator[Inspection]:
    """`inspect` over processes, in the order of `samples`; decoding is all the work there is."""
    return cli.parallel(partial(inspect, min_side=min_side, captioned=captioned), samples, workers)


def unlisted(folder: Path, samples: Iterable[CaptionedImage]) -> list[str]:
    """Names of the image files in `folder` that its metadata.jsonl does not list, sorted."""
    listed = {sample.path.name for sample in samples}
    names = {path.name for path in folder.iterdir() if path.suffix.lower() in images.SUFFIXES}
    return sorted(names - listed)


def duplicates(inspections: Iterable[Inspection]) -> list[str]:
    """`file: reason` for each image whose bytes equal an earlier one's."""
    first: dict[str, str] = {}
    lines = []
    for item in inspections:
        if item.sha256 and first.setdefault(item.sha256, item.file_name) != item.file_name:
            lines.append(f"{item.file_name}: the same bytes as {first[item.sha256]}")
    return lines


def offenders(
    folder: Path | None,
    samples: list[CaptionedImage],
    inspections: list[Inspection],
    expected: int | None,
) -> list[str]:
    """One line `file: reason` for everything that is wrong with a split, but for duplicates.

    `folder` is None where the images are not listed, `expected` where their number is not known.
    """
    lines = [f"{item.file_name}: {reason}" for item in inspections for reason in item.reasons]
    if folder:
        lines += [f"{name}: no line in metadata.jsonl" for name in unlisted(folder, samples)]
    if expected is not None and len(samples) != expected:
        lines.append(
            f"metadata.jsonl: {len(samples)} images, {expected} expected; if this copy is whole,"
            f" set the split's count to {len(samples)} in the configuration"
        )
    return lines


def frame(inspections: Iterable[Inspection]) -> pd.DataFrame:
    """Columns id, file_name, width, height (px, exif orientation applied)."""
    rows = [(item.id, item.file_name, item.width, item.height) for item in inspections]
    return pd.DataFrame(rows, columns=["id", "file_name", "width", "height"])


def statistics(sizes: pd.DataFrame, size: Size) -> dict[str, dict[str, float]]:
    """Table 9's figures in pixels, and how many images are less high or less wide than `size` px.

    Each is {"value": …, "n": …}, the form of every aggregate; without a size nothing is below it.
    """
    n = len(sizes)
    values = {
        f"{name}_{side}": float(getattr(sizes[side], name)())
        for name in ("median", "mean")
        for side in ("height", "width")
    }
    if size:
        values["below_size"] = int((sizes[["height", "width"]] < sides(size)).any(axis=1).sum())
    return {name: {"value": value, "n": n} for name, value in values.items()}


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write `table` without its index. Atomic."""
    with atomic(path) as temporary:
        table.to_parquet(temporary, index=False)
