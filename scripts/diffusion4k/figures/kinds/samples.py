"""Photographs of the data set, in their own shapes, each with its caption."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusion4k.figures.kinds import Kind

if TYPE_CHECKING:
    from diffusion4k.figures.shown import Drawing, Shown


@dataclass(frozen=True)
class Samples(Kind):
    """Photographs above their captions."""

    def draw(self, shown: "Shown") -> "Drawing":
        from diffusion4k.data import shards
        from diffusion4k.figures import layout, photographs
        from diffusion4k.figures.shown import Drawing

        parts, records = [], []
        for row, label in shown.labels.items():
            tiles = []
            for sample in shards.spread(shown.samples(row), shown.settings["count"]):
                image, height, width = photographs.thumbnail(sample.sound())
                tiles.append(layout.Tile(image, sample.text))
                records.append(shown.photograph(row, sample, height, width))
            parts.append((label, tiles))
        return Drawing(layout.mosaic(parts, across=4.5), records)


KIND = Samples("samples", rows="splits", reads="photographs", takes=("count",), needs=("count",))
