"""Photographs, and what VAEs make of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusion4k.figures.kinds import Kind

if TYPE_CHECKING:
    from diffusion4k.figures.shown import Drawing, Picture, Shown


@dataclass(frozen=True)
class Reconstruction(Kind):
    """A line a photograph, a column a VAE."""

    def draw(self, shown: "Shown") -> "Drawing":
        from diffusion4k.figures import layout, zoom
        from diffusion4k.figures.kinds.gallery import ZOOMED
        from diffusion4k.figures.shown import Drawing

        settings, of_grid, used = shown.settings, [], []
        of_photographs = lines(shown)
        length = layout.side(
            max(line[0].width for line in of_photographs), len(of_photographs) * len(shown.labels)
        )
        for columns in of_photographs:
            images = [picture and picture.load() for picture in columns]
            of_grid += zoom.lines("", images, length, settings.get("zoom"), settings.get("glcm"))
            used += [picture for picture in columns if picture]
        labels = {"photograph": "photograph"} | shown.labels
        return Drawing(
            layout.grid(list(labels.values()), of_grid, length),
            [picture.record(labels[picture.row]) for picture in used],
            (ZOOMED.format("photograph"),) if settings.get("zoom") else (),
        )


def lines(shown: "Shown") -> list[list["Picture | None"]]:
    """A line a photograph: it, then each row's reconstruction of it, None for one not run."""
    by_row = {row: {picture.id: picture for picture in shown.pictures(row)} for row in shown.labels}
    return [
        [photograph, *(of.get(photograph.id) for of in by_row.values())]
        for photograph in shown.pictures("photograph")
    ]


KIND = Reconstruction(
    "reconstruction",
    rows="vaes",
    reads="reconstructions",
    takes=("count", "zoom"),
    needs=("count",),
)
