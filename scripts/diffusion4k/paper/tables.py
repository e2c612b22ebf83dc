"""A table of the paper as data: published, ours, the difference, and why a cell is empty.

Nothing here knows a table by number: its rows, columns and texts come from the config (the spec),
the published numbers from a CSV, ours from manifests.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from diffusion4k.config.fidelity import DIFFERS
from diffusion4k.errors import UserError
from diffusion4k.manifest import Manifest
from diffusion4k.paper import verdicts
from diffusion4k.paper.footer import lines
from diffusion4k.paper.published import Context, Published
from diffusion4k.paper.spec import check_table, column_key

ELSEWHERE = "published elsewhere, of no row here"


def assemble(
    spec: Mapping[str, Any],
    published: Mapping[tuple[str, str], Published],
    values: Mapping[tuple[str, str], Manifest],
    context: Iterable[Context] = (),
    comparisons: Mapping[tuple[str, str], Manifest] | None = None,
) -> dict[str, Any]:
    """The whole table as JSON-able data.

    `values` maps (row key, family) to the manifest that holds ours: results[metric] is {"value",
    "n", "interval"? or "standard_error"?} or a bare number; results["failed"] says why there is
    none. `comparisons` has the paired differences to the row that spec["against"] names. Returns
    {"title", "caption", "columns": [{key, label, direction, digits, intervals, tolerance?, exact?,
    reason?, about?}], "rows": [{key, label, reason, cells: {metric: {published, published_digits,
    published_note, ours, difference, n, interval?, standard_error?, against?, verdict,
    verdict_reason, best: [published?, ours?]}}}], "footer", "provenance"}. A cell's `against` is
    {row, label, difference, interval, distinguishable}, the last of which is false when the
    interval holds zero. Verdicts are those of verdicts.py. What rests on miniature or random
    inputs has no difference: published and ours stand apart.

    Raises UserError for NaN and infinities, and for a value whose row or family has no place.
    """
    check_table(spec)
    comparisons = comparisons or {}
    _check_places(spec, values)
    _check_places(spec, comparisons)
    columns = spec["columns"]
    rows = [_row(row, columns, published, values) for row in spec["rows"]]
    _compare(spec, rows, comparisons)
    verdicts.judge_directions(columns, rows, column_key, spec.get("against", {}))
    _say_settings(spec, rows)
    verdicts.mark_best(columns, rows, column_key)
    rows += _context_rows(spec, context)
    return {
        "title": spec["title"],
        "caption": spec.get("caption", ""),
        "columns": [
            {
                "key": column_key(column),
                "label": column["label"],
                "family": column["family"],
                "direction": column.get("direction", "none"),
                "digits": column["digits"],
                "intervals": column.get("interval", False),
                # what a claim needs to tell two rows apart, and columns of others' numbers alone
                **{k: column[k] for k in ("tolerance", "exact", "reason", "about") if k in column},
            }
            for column in columns
        ],
        "rows": rows,
        "footer": lines(spec, rows, published, values),
        "provenance": [*_provenance(values), *_provenance(comparisons, ":against")],
    }


def shown(value: float, digits: int) -> str:
    """`value` with `digits` decimals; a zero has no sign."""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


def measured(value: float, digits: int) -> str:
    """A number of ours as `shown`; one that would read 0, and is not, by its first digit."""
    text = shown(value, digits)
    return f"{value:.1g}" if value and float(text) == 0 else text


def _check_places(spec: Mapping, values: Mapping[tuple[str, str], Manifest]) -> None:
    rows = [row["key"] for row in spec["rows"]]
    families = sorted({column["family"] for column in spec["columns"]})
    for row, family in values:
        if row not in rows:
            raise UserError(f"--values {row}:{family}: no such row; rows are {', '.join(rows)}")
        if family not in families:
            raise UserError(
                f"--values {row}:{family}: no such family; families are {', '.join(families)}"
            )


def _row(row: Mapping, columns: list, published: Mapping, values: Mapping) -> dict[str, Any]:
    cells = {}
    of_row = [source for (key, _), source in values.items() if key == row["key"]]
    failed = (source.results["failed"] for source in of_row if "failed" in source.results)
    reason = row.get("reason") or next(failed, "")
    for column in columns:
        key = (row.get("published_as", row["key"]), column_key(column))
        number = published.get(key, Published(None))
        source = values.get((row["key"], column["family"]))
        cell = _cell(number, _measured(source, column["metric"]), column["digits"])
        why = reason or column.get("reason", "")
        cell["verdict"], cell["verdict_reason"] = verdicts.judge(cell, number, column, source, why)
        if cell["verdict_reason"] == verdicts.RESTS_ON:
            cell["difference"] = None
        cells[column_key(column)] = cell
    return {
        "key": row["key"],
        "label": row["label"],
        "reason": reason,
        "cells": cells,
    }


def _say_settings(spec: Mapping, rows: list[dict]) -> None:
    """A miss by settings that are not the paper's says so: it may be theirs."""
    for cell in (cell for row in rows for cell in row["cells"].values()):
        if cell["verdict"] in verdicts.MISSES:
            cell["verdict_reason"] += other_settings(spec.get("footer", ()))


def other_settings(footer: Iterable[str]) -> str:
    """What a miss says besides in a table with these lines below it; "" with those of the paper."""
    differ = any(line.startswith(DIFFERS) for line in footer)
    return "; settings are not the paper's, see the notes" if differ else ""


def _compare(spec: Mapping, rows: list[dict], comparisons: Mapping) -> None:
    """Put the paired difference to its baseline into every cell that has one."""
    for row in rows:
        for column in spec["columns"]:
            source = comparisons.get((row["key"], column["family"]))
            paired = _measured(source, column["metric"])
            if paired.get("interval"):
                low, high = paired["interval"]
                row["cells"][column_key(column)]["against"] = {
                    **spec["against"][row["key"]],
                    "difference": paired["value"],
                    "interval": [low, high],
                    "distinguishable": not low <= 0 <= high,
                }


def _measured(source: Manifest | None, name: str) -> dict[str, Any]:
    """{"value", "n"?, …} of a manifest's results, empty when it is not there."""
    result = source.results.get(name) if source else None
    if result is None:
        return {}
    result = result if isinstance(result, dict) else {"value": result}
    value = result.get("value")
    numbers = [value, *(result.get("interval") or []), result.get("standard_error", 0)]
    sound = all(isinstance(x, int | float) and not isinstance(x, bool) for x in numbers)
    if not sound or not all(map(math.isfinite, numbers)):
        raise UserError(f"{source.path}: {name} is {value!r}, not a finite number; make it again")
    return result


def _cell(number: Published, ours: dict, digits: int) -> dict[str, Any]:
    cell = {
        "published": number.value,
        "published_digits": digits if number.digits is None else number.digits,
        "published_note": number.note,
        "ours": ours.get("value"),
        "difference": None,
        "n": ours.get("n"),
        "verdict": verdicts.NOT_JUDGED,
        "verdict_reason": ELSEWHERE,
        "best": [False, False],
    }
    if ours.get("interval"):
        cell["interval"] = list(ours["interval"])
    elif ours.get("standard_error"):
        cell["standard_error"] = ours["standard_error"]
    if ours and number.value is not None:
        cell["difference"] = ours["value"] - number.value
    return cell


def _context_rows(spec: Mapping, context: Iterable[Context]) -> list[dict[str, Any]]:
    """Other systems on the same evaluation: published only, labelled with their source."""
    digits = {column_key(column): column["digits"] for column in spec["columns"]}
    systems: dict[tuple[str, str], dict[str, Published]] = {}
    for row in context:
        if row.evaluation == spec.get("context") and row.metric in digits:
            number = Published(row.value, digits=row.digits)
            systems.setdefault((row.system, row.source), {})[row.metric] = number
    sources = list(dict.fromkeys(source for _, source in systems))
    return [
        {
            "key": f"context:{system}:{sources.index(source) + 1}",
            "label": f"{system} [{sources.index(source) + 1}]",
            "source": source,
            "reason": "",
            "context": True,
            "cells": {
                metric: _cell(numbers.get(metric, Published(None)), {}, count)
                for metric, count in digits.items()
            },
        }
        for (system, source), numbers in systems.items()
    ]


def _provenance(values: Mapping[tuple[str, str], Manifest], kind: str = "") -> list[dict[str, Any]]:
    """Where each value came from: manifest, when, how long (s), on what, by which code.

    A training's seconds are those of all its segments. `kind` is put behind the family's name.
    """
    return [
        {
            "row": row,
            "family": f"{family}{kind}",
            "manifest": str(source.path),
            "made": source.made,
            "seconds": source.results.get("seconds_training", source.seconds),
            "device": source.device,
            "code": source.code or str(source.settings.get("code", "")),
        }
        for (row, family), source in values.items()
    ]
