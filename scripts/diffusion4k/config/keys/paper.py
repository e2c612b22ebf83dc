"""Sections `efficiency`, `tables` and `unavailable`."""

from diffusion4k.config.keys.models import Factor
from diffusion4k.config.keys.types import ABSENT, Name, Names, Section, matching

TableName = matching("table_[a-z0-9]+", "a table is called table_…, small letters and digits")


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

    title: str
    """caption"""
    evaluation: Name = ABSENT
    """benchmark of its columns"""
    rows: Names
    """models, backbones or splits; a row without a model is an error"""
    columns: Names
    """columns of metric families, a module each in scripts/diffusion4k/metrics/families"""
    against: dict[str, Name] = ABSENT
    """row → the row that it is compared with, prompt by prompt; a difference inside its 95 %
    interval is marked ≈"""
    open: bool = False
    """`true`: your model that names no tables is a row of it"""
    context: bool = False
    """`true`: below, what others published on this evaluation (`published/context.csv`), each with
    its source"""


class Unavailable(Section):
    """A row that no run can fill."""

    label: str
    """name in the table"""
    reason: str
    """what the table says instead of a number"""
