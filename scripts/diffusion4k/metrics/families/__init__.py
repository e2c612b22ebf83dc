"""The metric families: what can be a column of a table, and where its numbers come from.

A module of this folder is a family: it defines `FAMILY`, an instance of `Family` or of a class
derived from it. There is no list of them: the workflow's rules, the configuration's check, the
aggregates, comparisons, correlations, the plan and the tables all ask here, so that a family is
added by adding its module, and nothing that other families have scored is scored again.

The simplest family scores each picture by a function of its pixels (`PerImage`); CONTRIBUTING.md
shows one. Importing a family must stay quick and import nothing heavy, since Snakemake does it at
every start: numpy, torch and the like belong inside functions.
"""

import functools
import importlib
import math
import pkgutil
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from typing import TYPE_CHECKING, Any, Literal

from diffusion4k.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from diffusion4k.manifest import Manifest

Columns = MutableMapping[str, "np.ndarray"]
Statistics = dict[str, tuple[Callable[..., float], list[str]]]
Results = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Column:
    """A column of a table: its head, which direction is better, digits after the point.

    metric: the number's name among the family's results, where it is not the column's own.
    corrected: (a key of the configuration, a column): where that key is `corrected`, the other
    column stands in this one's place.
    of: in a family that scores single images (`PerImage`), the function of an image's pixels,
    (H, W, 3) uint8 RGB, that gives its score.
    exact: nothing is sampled, so that what is equal is equal as printed.
    timed: a time, which only the same GPU can reproduce.
    interval: its interval says what it says, and is shown in every form of a table.
    about: what it measures, for readers of a table who do not know its name.
    """

    label: str
    direction: Literal["higher", "lower", "none"]
    digits: int
    metric: str = ""
    corrected: tuple[str, str] | None = None
    of: Callable[["np.ndarray"], float] | None = None
    exact: bool = False
    timed: bool = False
    interval: bool = False
    about: str = ""


@dataclass(frozen=True)
class Rated:
    """A metric that can be held against human ratings.

    metric: its aggregate, which must be the mean of a score that each image has.
    sign: -1 where a lower score is better.
    corrected: (a key of the configuration, an aggregate): where that key is `corrected`, the other.
    """

    metric: str
    sign: int = 1
    corrected: tuple[str, str] | None = None


@dataclass(frozen=True)
class Family:
    """Columns whose numbers come from one manifest.

    rows: the section of the configuration whose entries are rows of its tables.
    manifest: where the numbers of one row are, below results/<run>/; {row}, {evaluation}, {family}
        and {last_step} (of training) are filled in. "": nothing here measures it.
    stage: the rule whose jobs make what the numbers are summed up from.
    generated: whether that is done to generated images, of an evaluation.
    paired: whether two models can be compared prompt by prompt.
    rated: the metrics that can be held against human ratings, by their name in Table 1.
    networks: sources with the weights that it needs; those in `optional` may be absent.
    reference: whether its numbers are also of the photographs' features.
    """

    name: str
    columns: Mapping[str, Column]
    rows: str = "models"
    manifest: str = "metrics/{row}/{evaluation}/{family}.json"
    stage: str = ""
    generated: bool = False
    paired: bool = False
    rated: Mapping[str, Rated] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    reference: bool = False

    @property
    def jobs(self) -> str:
        """Whose jobs score for it: those of its rule, which families may share."""
        return self.stage

    def row_type(self, shards: Sequence["Manifest"] = ()) -> type:
        """The dataclass of a row of scores, as it is in `shards`; `id` is its first field."""
        raise UserError(f"{self.name}: has no score of each image")

    def derive(self, columns: Columns, shards: Sequence["Manifest"]) -> None:
        """Add to the columns of scores, in place, what follows from them or from `shards`."""

    def statistics(self, columns: Mapping[str, Any]) -> Statistics:
        """{metric: (statistic, the columns it is of)}; by default each column's mean."""
        return means({name: name for name in columns if name != "id"})

    def counts(self, columns: Mapping[str, Any]) -> Results:
        """Further results that have no uncertainty."""
        return {}

    def aggregate(
        self,
        shards: Sequence["Manifest"],
        *,
        reference: Sequence["Manifest"] = (),
        expected: int,
        seed: int = 0,
    ) -> Results:
        """The family's results over all shards; `reference`: the photographs' features."""
        from diffusion4k.metrics import aggregate

        columns = aggregate.rows(self.name, shards, expected)
        return aggregate.summary(self.name, columns, seed) | self.counts(columns)


@dataclass(frozen=True)
class PerImage(Family):
    """A family whose columns are functions of one picture's pixels (`Column.of`).

    A number is the mean over the images, so that models can be compared prompt by prompt.
    """

    stage: str = "per_image"
    generated: bool = True
    paired: bool = True

    @property
    def jobs(self) -> str:
        """Its own: the rule scores one family a job."""
        return self.name

    def row_type(self, shards: Sequence["Manifest"] = ()) -> type:
        """A row with the image's id and a number by each column."""
        return make_dataclass("Row", [("id", str), *((name, float) for name in self.columns)])

    def score(self, id: str, pixels: "np.ndarray") -> Any:
        """The row of one image, (H, W, 3) uint8 RGB; UserError for a score that is no number."""
        values = {name: float(column.of(pixels)) for name, column in self.columns.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise UserError(f"{id}: {name} is {value}, no finite number; look at the image")
        return self.row_type()(id=id, **values)


def means(names: Mapping[str, str]) -> Statistics:
    """{metric: the mean of a column}, for a family's statistics."""
    import numpy as np

    return {metric: (np.mean, [column]) for metric, column in names.items()}


def module(name: str) -> str:
    """The module of a family, for the digest of a job that uses it."""
    return f"{__name__}.{name}"


@functools.cache
def every() -> dict[str, Family]:
    """All families by name, in the order of their names."""
    modules = [importlib.import_module(module(m.name)) for m in pkgutil.iter_modules(__path__)]
    return {m.FAMILY.name: m.FAMILY for m in modules}


def get(name: str) -> Family:
    """The family of that name; UserError for an unknown one."""
    if name not in every():
        raise UserError(f"no metric family {name!r}; there are {', '.join(every())}")
    return every()[name]


@functools.cache
def columns() -> dict[str, tuple[Family, Column]]:
    """Every column that a table can have: its family, and what it is."""
    of: dict[str, tuple[Family, Column]] = {}
    for family in every().values():
        for key, column in family.columns.items():
            if key in of:
                raise ValueError(f"column {key} is of {of[key][0].name} and of {family.name}")
            of[key] = family, column
    return of


@functools.cache
def rated() -> dict[str, tuple[Family, Rated]]:
    """Every metric that can be held against human ratings: its family, and its aggregate."""
    return {
        name: (family, metric)
        for family in every().values()
        for name, metric in family.rated.items()
    }


def generated() -> list[str]:
    """The families that score generated images, and so need an evaluation."""
    return [name for name, family in every().items() if family.generated]


def paired() -> list[str]:
    """The families in which two models can be compared prompt by prompt."""
    return [name for name, family in every().items() if family.paired]


def scored_by(stage: str) -> list[Family]:
    """The families whose numbers are summed up from the jobs of one rule."""
    return [family for family in every().values() if family.stage == stage]
