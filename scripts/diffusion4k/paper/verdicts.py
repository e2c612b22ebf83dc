"""What a cell says of the paper: reproduced or not, and why it cannot say.

Two numbers agree when they differ by no more than both sides' uncertainty: half a unit of the last
digit that the paper prints, and Z standard errors of the difference. The paper prints no
uncertainty; its sampling error is taken to be ours, which is of as many images of the same prompts,
so that the difference has the square root of 2 times ours. Prompts in common make the true error
smaller: the test is a wide one, and what it refuses is not sampling.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from diffusion4k.manifest import Manifest
from diffusion4k.paper.published import Published
from diffusion4k.sources.miniature import notes

REPRODUCED = "reproduced"
DIRECTION = "direction reproduced"  # the paper's sign of a difference, and ours excludes zero
NOT_REPRODUCED = "not reproduced"
NOT_RUN = "not run"
CANNOT = "cannot be run"
NOT_JUDGED = "not judged"
VERDICTS = (REPRODUCED, DIRECTION, NOT_REPRODUCED, NOT_RUN, CANNOT, NOT_JUDGED)
MISSES = (DIRECTION, NOT_REPRODUCED)  # of a cell: its value is not as published

NO_MEMORY = "out of GPU memory"  # how efficiency.py begins why there is no number
RESTS_ON = "rests on miniature or random inputs"
Z = 1.96  # of a 95 % interval
GPU = re.compile(r"\b(?:[ABHLV]\d{2,4}|RTX ?\d{4})")

UNKNOWN = "its uncertainty is not known; the table's `tolerance` sets one"

Verdict = tuple[str, str]


class Gap(NamedTuple):
    """Ours of one row minus ours of another, the ends of its interval, what that comes from."""

    value: float
    low: float
    high: float
    basis: str

    @property
    def told(self) -> bool:
        """Whether the interval excludes zero."""
        return not self.low <= 0 <= self.high

    def text(self, digits: int) -> str:
        """`+0.30 [+0.10, +0.50] (95 % interval, paired by prompt)`."""
        ends = ", ".join(f"{end:+.{digits}f}" for end in (self.low, self.high))
        return f"{self.value:+.{digits}f} [{ends}] ({self.basis})"


def plumbing(source: Manifest | None) -> bool:
    """Whether a manifest's notes call something that it rests on random or miniature."""
    return source is not None and any(map(notes.plumbing, source.notes))


def standard_error(cell: Mapping[str, Any]) -> float | None:
    """Of ours, from its standard error or its 95 % interval; None where neither is known."""
    if "standard_error" in cell:
        return cell["standard_error"]
    if "interval" in cell:
        low, high = cell["interval"]
        return (high - low) / (2 * Z)
    return None


def margin(column: Mapping[str, Any], *cells: Mapping[str, Any]) -> float | None:
    """The largest difference of two of ours that may be chance; None where nobody can say.

    From both standard errors; 0 in a column without sampling; else the column's tolerance.
    """
    if column.get("exact"):
        return 0.0
    errors = [standard_error(cell) for cell in cells]
    if None in errors:
        return column.get("tolerance")
    return Z * math.hypot(*errors)


def gap(
    column: Mapping[str, Any],
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    paired: Sequence[float] | None = None,
) -> Gap | None:
    """The difference of two of ours; None where nobody can say how exact it is.

    paired: the ends of its interval, where the rows were compared prompt by prompt; else `margin`.
    """
    value = one["ours"] - other["ours"]
    if paired:
        return Gap(value, *paired, "95 % interval, paired by prompt")
    allowed = margin(column, one, other)
    if allowed is None:
        return None
    basis = "95 %" if allowed else "nothing is sampled"
    basis = "tolerance" if "tolerance" in column else basis
    return Gap(value, value - allowed, value + allowed, basis)


def judge(
    cell: Mapping[str, Any],
    number: Published,
    column: Mapping[str, Any],
    source: Manifest | None,
    reason: str,
) -> Verdict:
    """(verdict, why) of a cell; `reason` says why nothing of ours is in it.

    `column` may have `tolerance`, in place of both sides' uncertainty; `exact`, where nothing is
    sampled; `timed`, where only the same GPU gives the same number.
    """
    failed = source.results.get("failed", "") if source else ""
    if cell["ours"] is None and not failed.startswith(NO_MEMORY):
        return (CANNOT, reason) if reason else (NOT_RUN, "")
    if plumbing(source):
        return NOT_JUDGED, RESTS_ON
    if cell["ours"] is None:
        return _without_memory(failed, number)
    if number.value is None:
        noted = f": {number.note}" if number.note else ""
        return NOT_JUDGED, f"the paper has no number{noted}"
    if column.get("timed") and not _same_gpu(source, number.note):
        where = number.note or "an unnamed GPU"
        return NOT_JUDGED, f"a time of other hardware: the paper's on {where}"
    allowed, basis = _allowed(cell, column)
    if allowed is None:
        return NOT_JUDGED, UNKNOWN
    allowed += 0.5 * 10 ** -cell["published_digits"]
    difference = abs(cell["ours"] - number.value)
    # what is printed as equal is equal: no rounding of ours in binary may decide
    verdict = REPRODUCED if difference <= allowed * (1 + 1e-9) else NOT_REPRODUCED
    return verdict, f"|Δ| {difference:.3g}, allowed {allowed:.3g} ({basis}, rounding)"


def _without_memory(failed: str, number: Published) -> Verdict:
    if number.note == "OOM":
        return REPRODUCED, f"{failed}, as published"
    if number.value is not None:
        return NOT_REPRODUCED, f"{failed}, where the paper has a number"
    return CANNOT, failed


def _allowed(cell: Mapping, column: Mapping) -> tuple[float | None, str]:
    if "tolerance" in column:
        return column["tolerance"], "tolerance"
    if column.get("exact"):
        return 0.0, "nothing is sampled"
    error = standard_error(cell)
    return (None, "") if error is None else (Z * math.sqrt(2) * error, "sampling of both sides")


def _same_gpu(source: Manifest | None, note: str) -> bool:
    """Whether ours was measured on the GPU that the note on the published number names."""
    return bool(source and set(GPU.findall(note)) & set(GPU.findall(source.device)))


def judge_directions(
    columns: Iterable[Mapping], rows: list[dict], key, against: Mapping[str, Mapping[str, str]]
) -> None:
    """Say of a value that is not as published whether its difference to a row has the paper's sign.

    against: row => {"row", "label"} of the one that it is compared with. The sign is that of the
    two published numbers; ours must exclude zero, as in a claim.
    """
    cells = {row["key"]: row["cells"] for row in rows}
    pairs = [(cells[r], cells[to["row"]], to["label"]) for r, to in against.items()
             if r in cells and to["row"] in cells]  # fmt: skip
    for column in columns:
        for of_row, of_other, label in pairs:
            cell, other = of_row[key(column)], of_other[key(column)]
            numbers = (cell["ours"], other["ours"], cell["published"], other["published"])
            resting = other["verdict_reason"] == RESTS_ON
            if cell["verdict"] != NOT_REPRODUCED or None in numbers or resting:
                continue
            paired = cell["against"]["interval"] if "against" in cell else None
            ours, published = gap(column, cell, other, paired), numbers[2] - numbers[3]
            if ours and ours.told and ours.value * published > 0:
                cell["verdict"] = DIRECTION
                text = f"to {label} it is {ours.text(column['digits'])}, with the published sign"
                cell["verdict_reason"] += f"; {text}"


def mark_best(columns: Iterable[Mapping], rows: list[dict], key) -> None:
    """Set best[0], the best published as printed, and best[1], the best of ours beyond doubt.

    The paper prints no uncertainty: of its numbers the best is what it prints as best, ties
    together. Of ours one row is the best when it is told from every other: by the paired interval
    where one was compared with the other, else by `margin`. Else none is, nor is any where
    numbers rest on miniature or random inputs.
    """
    for column in columns:
        if column.get("direction", "none") == "none":
            continue
        sign = -1 if column["direction"] == "lower" else 1
        cells = {row["key"]: row["cells"][key(column)] for row in rows}
        _best_published(list(cells.values()), sign)
        ours = {name: cell for name, cell in cells.items() if cell["ours"] is not None}
        if len(ours) < 2 or any(cell["verdict_reason"] == RESTS_ON for cell in ours.values()):
            continue
        best = max(ours, key=lambda name: sign * ours[name]["ours"])
        others = (name for name in ours if name != best)
        if all(_distinguishable(column, best, name, ours) for name in others):
            against = ours[best].get("against", {"distinguishable": True})
            ours[best]["best"][1] = against["distinguishable"]


def _best_published(cells: list[dict], sign: int) -> None:
    values = [sign * cell["published"] for cell in cells if cell["published"] is not None]
    if len(set(values)) > 1:
        for cell in cells:
            value = cell["published"]
            cell["best"][0] = value is not None and sign * value == max(values)


def _distinguishable(column: Mapping, one: str, other: str, cells: Mapping[str, Mapping]) -> bool:
    """Whether two rows' numbers differ beyond doubt, as far as the table can say."""
    for a, b in ((one, other), (other, one)):
        against = cells[a].get("against")
        if against and against["row"] == b:
            return against["distinguishable"]
    allowed = margin(column, cells[one], cells[other])
    difference = abs(cells[one]["ours"] - cells[other]["ours"])
    printed = 0.5 * 10 ** -column["digits"]
    return allowed is not None and difference > max(allowed, printed)
