"""Which of two models' pictures people, and a model that judges, prefer."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusion4k.figures.kinds import Kind

if TYPE_CHECKING:
    from diffusion4k.figures.shown import Drawing, Shown


@dataclass(frozen=True)
class Votes(Kind):
    """Bars of the shares of votes."""

    def draw(self, shown: "Shown") -> "Drawing":
        from diffusion4k.figures import preference
        from diffusion4k.figures.shown import Drawing

        return Drawing(preference.bars(shown))


KIND = Votes("votes", reads="votes")
