"""A table of the paper as data: published, ours, the difference, and why a cell is empty.

Nothing here knows a table by number: its rows, columns and texts come from the config (the spec),
the published numbers from a CSV, ours from manifests.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from diffusion4k.errors import UserError
from diffusion4k.manifest import Manifest
from diffusion4k.paper.footer import lines
from diffusion4k.paper.published import Context, Published
from diffusion4k.paper.spec import check_table, column_key

NOT_RUN = "not run"
ELSEWHERE = "published elsewhere"


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
    {"title", "caption", "columns": [{key, label, direction, digits, intervals}],
    "rows": [{key, label, reason, cells: {metric: {published, published_note, ours, difference, n,
    interval?, standard_error?, against?, status, best: [published?, ours?]}}}], "footer",
    "provenance"}. A cell's `against` is {label, difference, interval, distinguishable}, the last of
    which is false when the interval holds zero. Status is "ok", "not run", "out of tolerance …", or
    the row's reason. The best published and the best of ours are found after rounding, so that ties
    are all best.

    Raises UserError for NaN and infinities, and for a value whose row or family has no place.
    """
    check_table(spec)
    comparisons = comparisons or {}
    _check_places(spec, values)
    _check_places(spec, comparisons)
    columns = spec["columns"]
    rows = [_row(row, columns, published, values) for row in spec["rows"]]
    _compare(spec, rows, comparisons)
    _mark_best(columns, rows)
    rows += _context_rows(spec, context)
    return {
        "title": spec["title"],
        "caption": spec.get("caption", ""),
        "columns": [
            {
                "key": column_key(column),
                "label": column["label"],
                "direction": column.get("direction", "none"),
                "digits": column["digits"],
                # what a correlation says is said by its interval: shown in every form
                "intervals": column["family"] == "correlation",
            }
            for column in columns
        ],
        "rows": rows,
        "footer": lines(spec, rows, published, values),
        "provenance": _provenance(values),
    }


def shown(value: float, digits: int) -> str:
    """`value` with `digits` decimals; a zero has no sign."""
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


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
    found = [source for (key, _), source in values.items() if key == row["key"]]
    failed = (source.results["failed"] for source in found if "failed" in source.results)
    reason = row.get("reason") or next(failed, "")
    for column in columns:
        said = published.get((row["key"], column_key(column)), Published(None))
        source = values.get((row["key"], column["family"]))
        ours = _measured(source, column["metric"])
        cells[column_key(column)] = _cell(said, ours, column, reason or NOT_RUN)
    return {
        "key": row["key"],
        "label": row["label"],
        "reason": reason,
        "cells": cells,
    }


def _compare(spec: Mapping, rows: list[dict], comparisons: Mapping) -> None:
    """Put the paired difference to its baseline into every cell that has one."""
    for row in rows:
        for column in spec["columns"]:
            source = comparisons.get((row["key"], column["family"]))
            found = _measured(source, column["metric"])
            if found.get("interval"):
                low, high = found["interval"]
                row["cells"][column_key(column)]["against"] = {
                    "label": spec["against"][row["key"]],
                    "difference": found["value"],
                    "interval": [low, high],
                    "distinguishable": not low <= 0 <= high,
                }


def _measured(source: Manifest | None, name: str) -> dict[str, Any]:
    """{"value", "n"?, …} of a manifest's results, empty when it is not there."""
    found = source.results.get(name) if source else None
    if found is None:
        return {}
    found = found if isinstance(found, dict) else {"value": found}
    value = found.get("value")
    numbers = [value, *(found.get("interval") or []), found.get("standard_error", 0)]
    sound = all(isinstance(x, int | float) and not isinstance(x, bool) for x in numbers)
    if not sound or not all(map(math.isfinite, numbers)):
        raise UserError(f"{source.path}: {name} is {value!r}, not a finite number; make it again")
    return found


def _cell(said: Published, ours: dict, column: Mapping, reason: str) -> dict[str, Any]:
    cell = {
        "published": said.value,
        "published_note": said.note,
        "ours": None,
        "difference": None,
        "n": None,
        "status": reason,
        "best": [False, False],
    }
    if not ours:
        return cell
    cell.update(ours=ours["value"], n=ours.get("n"), status="ok")
    if ours.get("interval"):
        cell["interval"] = list(ours["interval"])
    elif ours.get("standard_error"):
        cell["standard_error"] = ours["standard_error"]
    if said.value is not None:
        cell["difference"] = ours["value"] - said.value
        tolerance = column.get("tolerance")
        # half a unit of the last printed digit is the paper's own rounding
        slack = 0.5 * 10 ** -column["digits"]
        if tolerance is not None and abs(cell["difference"]) > tolerance + slack:
            cell["status"] = f"out of tolerance ({tolerance:g})"
    return cell


def _mark_best(columns: list, rows: list[dict]) -> None:
    """Set best[0] (published) and best[1] (ours) where two or more rows compete."""
    for column in columns:
        direction = column.get("direction", "none")
        if direction == "none":
            continue
        for position, name in enumerate(("published", "ours")):
            cells = [row["cells"][column_key(column)] for row in rows]
            cells = [cell for cell in cells if cell[name] is not None]
            rounded = [float(shown(cell[name], column["digits"])) for cell in cells]
            if len(rounded) < 2:
                continue
            if len(set(rounded)) == 1:
                continue  # nobody is better
            best = min(rounded) if direction == "lower" else max(rounded)
            for cell, value in zip(cells, rounded, strict=True):
                cell["best"][position] = value == best


def _context_rows(spec: Mapping, context: Iterable[Context]) -> list[dict[str, Any]]:
    """Other systems on the same evaluation: published only, labelled with their source."""
    metrics = [column_key(column) for column in spec["columns"]]
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in context:
        if row.evaluation == spec.get("context") and row.metric in metrics:
            found.setdefault((row.system, row.source), {})[row.metric] = row.value
    sources = list(dict.fromkeys(source for _, source in found))
    return [
        {
            "key": f"context:{system}",
            "label": f"{system} [{sources.index(source) + 1}]",
            "source": source,
            "reason": "",
            "context": True,
            "cells": {
                metric: _cell(Published(numbers.get(metric)), {}, {}, ELSEWHERE)
                for metric in metrics
            },
        }
        for (system, source), numbers in found.items()
    ]


def _provenance(values: Mapping[tuple[str, str], Manifest]) -> list[dict[str, Any]]:
    """Where each value came from: manifest, when, how long (s), on what, by which code."""
    return [
        {
            "row": row,
            "family": family,
            "manifest": str(source.path),
            "made": source.made,
            "seconds": source.seconds,
            "device": source.device,
            "code": source.code or str(source.settings.get("code", "")),
        }
        for (row, family), source in values.items()
    ]
