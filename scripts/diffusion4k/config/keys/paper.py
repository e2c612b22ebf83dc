"""Sections `efficiency`, `tables`, `claims` and `unavailable`."""

from typing import Literal, Self

from pydantic import model_validator

from diffusion4k.config.keys.figures import FigureName
from diffusion4k.config.keys.models import Factor
from diffusion4k.config.keys.types import (
    ABSENT,
    Line,
    Name,
    Names,
    NotNegative,
    Positive,
    Section,
    each_once,
    matching,
)

TableName = matching("table_[a-z0-9]+", "a table is called table_…, small letters and digits")


class Cost(Section):
    """A way to sample a picture whose memory and time are measured."""

    label: Line
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
    title: Line
    """caption"""
    evaluation: Name = ABSENT
    """benchmark of its columns; of a table without rows, one of `published/context.csv`"""
    rows: each_once(Name, least=0)
    """models, backbones or splits; a row without a model is an error; `[]`: what others published
    (`context`) alone"""
    columns: each_once(Name, least=0)
    """columns of metric families, a module each in scripts/diffusion4k/metrics/families"""
    against: dict[str, Name] = ABSENT
    """row → the row that it is compared with, prompt by prompt; a difference inside its 95 %
    interval is marked ≈"""
    tolerance: dict[Name, NotNegative] = ABSENT
    """column → the largest difference (absolute) from the published number, besides its rounding,
    that counts as reproduced; by default 1.96 standard errors of the difference, where ours is
    known ([docs/verdicts.md](../docs/verdicts.md))"""
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


class Claim(Section):
    """One claim of the paper."""

    text: Line
    """the claim, for readers"""
    table: TableName = ABSENT
    """the table that it is read from"""
    figure: FigureName = ABSENT
    """in place of `table`: the figure whose votes decide"""
    column: Name = ABSENT
    """the table's column"""
    better: Name = ABSENT
    """the row that the paper finds better"""
    than: Name = ABSENT
    """the row that it is better than"""
    best: Name = ABSENT
    """in place of `better` and `than`: the row that is best of all"""
    cannot: Names = ABSENT
    """rows of Table 5 that do not fit a GPU's memory"""
    fits: Names = ABSENT
    """with `cannot`: rows that do"""
    memory_gb: Positive = ABSENT
    """with `cannot`: the memory of the paper's GPU, in GB"""
    question: Literal["visual_aesthetics", "prompt_adherence", "fine_details"] = ABSENT
    """with `figure`: what was asked of the pairs"""
    by: Literal["people", "judge"] = "people"
    """with `figure`: whose votes decide, people's or those of a model that judges"""


class Unavailable(Section):
    """A row that no run can fill."""

    label: Line
    """name in the table"""
    reason: Line
    """what the table says instead of a number"""
