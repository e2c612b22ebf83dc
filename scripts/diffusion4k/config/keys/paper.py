"""Sections `efficiency`, `tables`, `unavailable` and `figures`."""

from typing import Literal, Self

from pydantic import model_validator

from diffusion4k.config.keys.models import Factor
from diffusion4k.config.keys.types import ABSENT, Count, Name, Names, Natural, Section, matching

TableName = matching("table_[a-z0-9]+", "a table is called table_…, small letters and digits")
FigureName = matching("figure_[a-z0-9]+", "a figure is called figure_…, small letters and digits")


class Cost(Section):
    """A way to sample a picture whose memory and time are measured."""

    label: str
    """name in the table"""
    model: Name
    """a model with a pipeline"""
    vae_factor: Factor = ABSENT
    """instead of the model's own"""
    offload: bool = False
    """keep on the GPU only the model at work"""


class Table(Section):
    """One table."""

    kind: Literal["numbers", "prompts"] = "numbers"
    """`prompts`: rows are prompts in words, files of `config/prompts`, and there are no columns"""
    title: str
    """caption"""
    evaluation: Name = ABSENT
    """benchmark of its columns"""
    rows: Names
    """models, backbones or splits; a row without a model is an error"""
    columns: list[Name]
    """columns of metric families, a module each in scripts/diffusion4k/metrics/families"""
    against: dict[str, Name] = ABSENT
    """row → the row that it is compared with, prompt by prompt; a difference inside its 95 %
    interval is marked ≈"""
    open: bool = False
    """`true`: your model that names no tables is a row of it"""
    context: bool = False
    """`true`: below, what others published on this evaluation (`published/context.csv`), each with
    its source"""

    @model_validator(mode="after")
    def _has_columns(self) -> Self:
        if bool(self.columns) == (self.kind == "prompts"):
            raise ValueError("a table of numbers has columns, one of prompts has none ([])")
        return self


class Unavailable(Section):
    """A row that no run can fill."""

    label: str
    """name in the table"""
    reason: str
    """what the table says instead of a number"""


class Zoom(Section):
    """A square of a picture."""

    top: Natural
    """its upper edge in px"""
    left: Natural
    """its left edge in px"""
    size: Count
    """its side in px"""


class Figure(Section):
    """One figure."""

    kind: Literal["gallery", "histogram", "curves", "reconstruction", "votes"]
    """what it shows"""
    title: str
    """caption"""
    evaluation: Name = ABSENT
    """benchmark of a gallery"""
    rows: Names
    """models, backbones or splits; of votes the first models of pairs (`people.pairs`)"""
    prompts: Count = 6
    """prompts of a gallery"""
    zoom: Zoom = ABSENT
    """a square of each picture of a gallery, shown enlarged below it"""
