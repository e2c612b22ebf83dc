"""Training loss by step, of models that are fine-tuned here."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusion4k.figures.kinds import Kind

if TYPE_CHECKING:
    from diffusion4k.figures.shown import Drawing, Shown


@dataclass(frozen=True)
class Curves(Kind):
    def draw(self, shown: "Shown") -> "Drawing":
        from diffusion4k.figures import plots
        from diffusion4k.figures.shown import Drawing

        return Drawing(plots.curves(shown.tables("loss.parquet", ["step", "loss"])))


KIND = Curves("curves", reads="training")
