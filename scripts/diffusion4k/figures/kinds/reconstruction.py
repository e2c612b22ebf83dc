"""Photographs, and what VAEs make of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusion4k.figures.kinds import Kind

if TYPE_CHECKING:
    from diffusion4k.figures.shown import Drawing, Shown


@dataclass(frozen=True)
class Reconstruction(Kind):
    def draw(self, shown: "Shown") -> "Drawing":
        from diffusion4k.figures import layout, zoom
        from diffusion4k.figures.kinds.gallery import ZOOMED
        from diffusion4k.figures.shown import Drawing

        by_row = {row: {one.id: one for one in shown.pictures(row)} for row in shown.labels}
        real = {one.id: one for one in shown.pictures("photograph")}
        settings, of_grid, used = shown.settings, [], []
        length = layout.side(max(one.width for one in real.values()), len(real) * len(by_row))
        for id, photograph in real.items():
            columns = [photograph, *(by_row[row].get(id) for row in shown.labels)]
            images = [one and one.load() for one in columns]
            of_grid += zoom.lines("", images, length, settings.get("zoom"), settings.get("glcm"))
            used += [one for one in columns if one]
        labels = {"photograph": "photograph"} | shown.labels
        return Drawing(
            layout.grid(list(labels.values()), of_grid, length),
            [one.record(labels[one.row]) for one in used],
            (ZOOMED.format("photograph"),) if settings.get("zoom") else (),
        )


KIND = Reconstruction(
    "reconstruction",
    rows="vaes",
    reads="reconstructions",
    takes=("count", "zoom"),
    needs=("count",),
)
