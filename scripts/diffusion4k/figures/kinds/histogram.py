"""Heights and widths of the images of splits."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusion4k.figures.kinds import Kind

if TYPE_CHECKING:
    from diffusion4k.figures.shown import Drawing, Shown


@dataclass(frozen=True)
class Histogram(Kind):
    """Histograms of heights and widths, a split at a time."""

    def draw(self, shown: "Shown") -> "Drawing":
        from diffusion4k.figures import plots
        from diffusion4k.figures.shown import Drawing

        return Drawing(plots.histograms(shown.tables(".parquet", ["height", "width"])))


KIND = Histogram("histogram", rows="splits", reads="check")
