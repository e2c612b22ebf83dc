"""What a figure is drawn from: its rows' manifests, and the pictures that they list."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from diffusion4k import images, shape
from diffusion4k.data import captions
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.errors import UserError
from diffusion4k.manifest import Manifest, read


@dataclass(frozen=True)
class Drawing:
    """A finished figure; `pictures`: what its manifest says of each picture in it.

    `remarks`: what the caption adds, a sentence each.
    """

    figure: Figure
    pictures: list[dict[str, Any]] = field(default_factory=list)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Picture:
    """A picture of a row; sides in px, and what made it, as far as its manifest says."""

    row: str
    id: str
    prompt: str
    height: int
    width: int
    path: Path
    source: Manifest
    seed: int | None = None
    guidance: float | None = None
    steps: int | None = None

    def load(self) -> Image.Image:
        """Its pixels; UserError when it is not what the manifest means."""
        self.source.listed(self.path).sound()
        return images.load_rgb(self.path, exif_transpose=False)

    def record(self, label: str) -> dict[str, Any]:
        """What the figure's manifest says of it."""
        names = ("row", "id", "prompt", "seed", "height", "width", "guidance", "steps")
        own = {name: getattr(self, name) for name in names}
        return own | {"label": label, "file": str(self.path)}


def in_px(*sides: shape.Shape) -> str:
    """`256 x 256 px`; where one is not square, that the height comes first."""
    text = ", ".join(f"{height} x {width}" for height, width in sides)
    square = all(height == width for height, width in sides)
    return f"{text} px" if square else f"{text} px (height x width)"


def settings(pictures: Iterable[Picture], labels: dict[str, str]) -> str:
    """A sentence on how the pictures of each row were drawn, "" where no manifest says it."""
    of: dict[str, list[Picture]] = {}
    for picture in pictures:
        if picture.steps:
            of.setdefault(labels[picture.row], []).append(picture)
    words = {label: _drawn_as(drawn) for label, drawn in of.items()}
    if len(words) == 1:
        return "".join(f"{label}: {', '.join(said.values())}." for label, said in words.items())
    first = next(iter(words.values()), {})
    # what all rows share is said once, then what those of the same settings have besides
    shared = {k: v for k, v in first.items() if all(said.get(k) == v for said in words.values())}
    alike: dict[str, list[str]] = {}
    for label, said in words.items():
        own = ", ".join(text for name, text in said.items() if name not in shared)
        alike.setdefault(own, []).append(label)
    parts = [f"All: {', '.join(shared.values())}"] * bool(shared)
    parts += [f"{', '.join(labels)}: {own}" for own, labels in alike.items() if own]
    return f"{'; '.join(parts)}." if parts else ""


def _drawn_as(pictures: list[Picture]) -> dict[str, str]:
    """What a row's pictures were drawn with, in words, as far as their manifests say it."""
    sides = sorted({(picture.height, picture.width) for picture in pictures})
    words = {"sides": in_px(*sides)}
    for name in ("steps", "guidance", "seed"):
        values = sorted({getattr(picture, name) for picture in pictures} - {None})
        if 0 < len(values) <= 10:
            text = ", ".join(f"{value:g}" for value in values)
            words[name] = f"{text} steps" if name == "steps" else f"{name} {text}"
    return words


@dataclass(frozen=True)
class Shown:
    """The rows of a figure in the order of `labels`, by key; one without manifests is "not run".

    settings: the figure's own, as the configuration has them.
    reference: the data set with the photographs, of a figure that shows them; `folder` in it.
    """

    rows: dict[str, list[Manifest]]
    labels: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)
    reference: Manifest | None = None
    folder: str = ""

    @cached_property
    def photographs(self) -> dict[str, CaptionedImage]:
        """id => image of the reference; empty when there is none."""
        listed = captions.of(self.reference, self.folder) if self.reference else []
        return {image.id: image for image in listed}

    def pictures(self, row: str) -> list[Picture]:
        """The pictures of a row, in the order of its manifests.

        Those of somebody's own folder have an id alone: its prompt is that of the data set that
        they were matched to, which may have captions of the model's own.
        """
        pictures = []
        for source in self.rows.get(row, []):
            if "pictures" in source.results:
                of_row = (record for record in source.results["pictures"] if record["row"] == row)
                for record in of_row:
                    own = {key: value for key, value in record.items() if key != "file"}
                    own["path"] = source.root / record["file"]
                    pictures.append(Picture(source=source, **own))
                continue
            texts = {}
            if dataset := source.inputs.get("dataset"):
                listed = captions.of(read(dataset), source.settings["folder"])
                texts = {sample.id: sample.text for sample in listed}
            for path in images.pictures(source.paths()):
                height, width = images.sides(path)
                text = texts.get(path.stem, "")
                pictures.append(Picture(row, path.stem, text, height, width, path, source))
        return pictures

    def samples(self, split: str) -> list[CaptionedImage]:
        """The captioned photographs of a row that is a split."""
        return captions.of(self.rows[split][0], self.settings["folders"][split])

    def photograph(
        self, row: str, sample: CaptionedImage, height: int, width: int
    ) -> dict[str, Any]:
        """What the figure's manifest says of a photograph of the data set."""
        source = self.rows[row][0]
        shown = Picture(row, sample.id, sample.text, height, width, sample.path, source)
        return shown.record(self.labels[row])

    def tables(
        self, suffix: str, columns: list[str], optional: Iterable[str] = ()
    ) -> dict[str, pd.DataFrame]:
        """label => the one table of each row's bulk whose name ends in `suffix`: `columns`, and
        those of `optional` that it has."""
        tables = {}
        for key, label in self.labels.items():
            for source in self.rows.get(key, []):
                paths = [path for path in source.paths() if path.name.endswith(suffix)]
                if len(paths) != 1:
                    raise UserError(f"{source.path}: {len(paths)} files *{suffix}, one needed")
                table = pd.read_parquet(source.listed(paths[0]).sound())
                if missing := set(columns) - set(table.columns):
                    raise UserError(f"{paths[0]}: no column {', '.join(sorted(missing))}")
                if table.empty:
                    raise UserError(f"{paths[0]}: empty; make it again")
                tables[label] = table[[*columns, *(c for c in optional if c in table)]]
        return tables
