"""The kinds of figures: what a figure of the configuration can be, and how it is drawn.

A module of this folder that defines `KIND`, an instance of a class derived from `Kind`, is a kind.
There is no list of them: the configuration's check, the rules and scripts/figure.py ask here.
Importing one must stay quick, since Snakemake does it at every start: matplotlib, pandas and the
like belong inside functions.
"""

import functools
import importlib
import pkgutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from diffusion4k.errors import UserError

if TYPE_CHECKING:
    from diffusion4k.figures.shown import Drawing, Shown


@dataclass(frozen=True)
class Kind(ABC):
    """A kind of figure.

    rows: the section of the configuration whose entries are its rows.
    reads: what it is drawn from, a manifest or more for each row (dag/figures.py has where):
        `pictures` that are drawn for this figure alone, `reconstructions` likewise, the
        `photographs` or the `check` of a split, a model's `training`, counted `votes`.
    takes: the figure's own keys that it understands, besides kind, title, caption and rows.
    needs: those of them that it cannot do without.
    in_turn: of `pictures`: a prompt has one of the sizes, and not each of them.
    """

    name: str
    rows: Literal["models", "splits", "vaes"] = "models"
    reads: Literal[
        "pictures", "reconstructions", "photographs", "check", "training", "votes"
    ] = "pictures"  # fmt: skip
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    in_turn: bool = False

    @abstractmethod
    def draw(self, shown: "Shown") -> "Drawing":
        """The figure."""


def module(name: str) -> str:
    """The module of a kind, for the digest of a job that uses it."""
    return f"{__name__}.{name}"


@functools.cache
def every() -> dict[str, Kind]:
    """All kinds by name, in the order of their names."""
    modules = [importlib.import_module(module(m.name)) for m in pkgutil.iter_modules(__path__)]
    return {m.KIND.name: m.KIND for m in modules}


def get(name: str) -> Kind:
    """The kind of that name; UserError for an unknown one."""
    if name not in every():
        raise UserError(f"no kind of figure {name!r}; there are {', '.join(every())}")
    return every()[name]
