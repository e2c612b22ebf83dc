"""The paper's claims, each with a verdict: read from the tables' cells, comparisons and votes.

A claim is a mapping: `id`, `text`, and one of these shapes.

    table, column, metric, better, than     row `better` is better than row `than`
    table, column, metric, best             no other row of the table is better
    table, cannot, fits, memory_gb          of Table 5: rows `cannot` need more memory than the GPU
                                            of the paper has, rows `fits` do not
    figure, question, better, than, by      of votes: `by` people or a judge

It may have words for readers: `head` of its column, `labels` of its rows; and `published_as`, a
row => the row whose published numbers are its own.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from diffusion4k.manifest import Manifest
from diffusion4k.paper.published import Published
from diffusion4k.paper.tables import measured, other_settings, shown
from diffusion4k.paper.verdicts import (
    CANNOT,
    DIRECTION,
    NO_MEMORY,
    NOT_JUDGED,
    NOT_REPRODUCED,
    NOT_RUN,
    REPRODUCED,
    RESTS_ON,
    UNKNOWN,
    gap,
    margin,
    plumbing,
)

ALIKE = "cannot be told apart"  # the interval of ours holds zero
VERDICTS = (REPRODUCED, DIRECTION, ALIKE, NOT_REPRODUCED, NOT_JUDGED, NOT_RUN, CANNOT)
MEMORY = "memory_gb"  # the column of a claim about what fits
PEOPLE = "people"  # who voted, where it was no model
HALF = 0.5  # of votes: nobody is preferred

Outcome = dict[str, str]  # verdict, detail, and what stands for ours and published
Table = Mapping[str, Any]
Cell = Mapping[str, Any]


def judge(
    claims: Iterable[Mapping[str, Any]],
    tables: Mapping[str, Table],
    comparisons: Mapping[str, Manifest],
    votes: Manifest | None = None,
    published: Mapping[str, Mapping[tuple[str, str], Published]] = MappingProxyType({}),
) -> dict[str, Any]:
    """{"claims": [{id, text, target, where, verdict, detail, ours, published}], "counts"}.

    tables: name => a table as tables.assemble gives it. comparisons: claim => paired differences
    `better` - `than` of its family. votes: a manifest of {"win_rates": [{better, than, question,
    rate, interval, n, by}]}, None where nobody voted. published: table => its numbers, which stand
    beside a claim whatever was run. Of a claim all but its verdict is text for readers; `target` is
    the table or figure.
    """
    judged = []
    for claim in claims:
        target = claim.get("table") or claim["figure"]
        said = {"published": _published(claim, published.get(target, {})), "detail": "", "ours": ""}
        if "figure" in claim:
            where, outcome = claim["question"].replace("_", " "), _preferred(claim, votes)
        else:
            where = claim.get("head") or _column(claim)
            outcome = _outcome(NOT_RUN, "its table is no target of this configuration")
            if target in tables:
                outcome = _from_table(claim, tables[target], comparisons.get(claim["id"]))
        place = {"target": target, "where": f"{target.replace('_', ' ').capitalize()}, {where}"}
        judged.append({"id": claim["id"], "text": claim["text"]} | place | said | outcome)
    counts = Counter(claim["verdict"] for claim in judged)
    return {"claims": judged, "counts": {v: counts[v] for v in VERDICTS if counts[v]}}


def markdown(results: Mapping[str, Any]) -> str:
    """The claims as a table for people, the counts of verdicts above it."""
    counts = ", ".join(f"{count} {verdict}" for verdict, count in results["counts"].items())
    keys = ("verdict", "text", "where", "published", "ours", "detail")
    rows = [[claim[key].replace("|", "\\|") for key in keys] for claim in results["claims"]]
    heads = ["verdict", "the paper's claim", "where", "published", "ours", "why"]
    lines = [f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows]]
    return "\n".join(["# The paper's claims", "", f"{counts}.", "", *lines]) + "\n"


def _column(claim: Mapping) -> str:
    return claim.get("column", MEMORY)


def _label(claim: Mapping, row: str) -> str:
    return claim.get("labels", {}).get(row, row)


def _published(claim: Mapping, numbers: Mapping[tuple[str, str], Published]) -> str:
    """What the paper prints of a claim's rows: `34.40 against 31.50`, `SD3-F8 OOM, …`, or ""."""

    def text(row: str) -> str:
        printed = numbers.get((claim.get("published_as", {}).get(row, row), _column(claim)))
        if not printed or printed.value is None:
            return printed.note if printed else "–"
        unit = " GB" if "cannot" in claim else ""
        return shown(printed.value, printed.digits or 0) + unit

    if not numbers:
        return ""
    if "cannot" in claim:
        rows = [*claim["cannot"], *claim["fits"]]
        # the paper's own number is not of the size that ours is of
        return ", ".join(f"{_label(claim, row).partition('@')[0]} {text(row)}" for row in rows)
    named = [claim[role] for role in ("better", "than", "best") if role in claim]
    of_column = [row for row, column in numbers if column == _column(claim)]
    texts = [text(row) for row in dict.fromkeys([*named, *of_column])][:2]
    return "" if set(texts) <= {"–"} else " against ".join(texts)


def _from_table(claim: Mapping, table: Table, comparison: Manifest | None) -> Outcome:
    rows = {row["key"]: row["cells"] for row in table["rows"] if not row.get("context")}
    columns = {column["key"]: column for column in table["columns"]}
    if (name := _column(claim)) not in columns:
        return _outcome(NOT_RUN, f"no column of this configuration: {claim.get('head', name)}")
    column, cells = columns[name], {row: rows[row][name] for row in rows}
    labels = {row["key"]: row["label"] for row in table["rows"]}
    if "cannot" in claim:
        named = [*claim["cannot"], *claim["fits"]]
        cells = {row: cells[row] for row in named if row in cells}
        outcome = _missing(claim, cells, named) or _fitting(claim, cells, labels)
    else:
        best = "best" in claim
        named = [claim["best"], *cells] if best else [claim["better"], claim["than"]]
        named = list(dict.fromkeys(named))
        outcome = _missing(claim, cells, named) or _blocked([cells[row] for row in named])
        if not outcome:
            decided = _best(claim, cells, column, labels) if best else None
            outcome = decided or _better(claim, cells, column, comparison)
        outcome |= {"ours": _pair(cells, named[:2], column)}
    if outcome["verdict"] in (NOT_REPRODUCED, ALIKE):
        outcome["detail"] += other_settings(table["footer"])
    return outcome


def _missing(claim: Mapping, cells: Mapping[str, Cell], named: list[str]) -> Outcome:
    lacking = ", ".join(_label(claim, row) for row in named if row not in cells)
    return _outcome(NOT_RUN, f"no row of this configuration: {lacking}") if lacking else {}


def _blocked(cells: list[Cell]) -> Outcome:
    """Why numbers of ours cannot be held against the claim, if they cannot."""
    empty = [cell for cell in cells if cell["ours"] is None]
    for cell in empty:
        if cell["verdict"] != NOT_RUN:
            return _outcome(CANNOT, cell["verdict_reason"])
    if empty:
        return _outcome(NOT_RUN, "")
    resting = any(cell["verdict_reason"] == RESTS_ON for cell in cells)
    return _outcome(NOT_JUDGED, RESTS_ON) if resting else {}


def _better(
    claim: Mapping, cells: Mapping[str, Cell], column: Mapping, comparison: Manifest | None
) -> Outcome:
    """The paper's sign is that of its own numbers; where it has none, the column's better side."""
    better, than = cells[claim["better"]], cells[claim["than"]]
    sign = {"higher": 1, "lower": -1}.get(column["direction"], 0)
    if None not in (better["published"], than["published"]):
        sign = better["published"] - than["published"]
    if not sign:
        return _outcome(NOT_JUDGED, "neither published numbers nor a better side of the column")
    paired = comparison.results[claim["metric"]]["interval"] if comparison else None
    ours = gap(column, better, than, paired)
    if ours is None:
        return _outcome(NOT_JUDGED, UNKNOWN)
    detail = ours.text(column["digits"])
    if not ours.told:
        return _outcome(ALIKE, detail)
    return _outcome(DIRECTION if (ours.value > 0) == (sign > 0) else NOT_REPRODUCED, detail)


def _best(
    claim: Mapping, cells: Mapping[str, Cell], column: Mapping, labels: Mapping[str, str]
) -> Outcome:
    sign = -1 if column["direction"] == "lower" else 1
    first = max(cells, key=lambda row: sign * cells[row]["ours"])
    rivals = [row for row in cells if row != first] if first == claim["best"] else [claim["best"]]
    margins = [margin(column, cells[first], cells[row]) for row in rivals]
    if None in margins:
        return _outcome(NOT_JUDGED, UNKNOWN)
    gaps = [abs(cells[first]["ours"] - cells[row]["ours"]) for row in rivals]
    detail = f"best of ours: {labels[first]}"
    if not all(gap > allowed for gap, allowed in zip(gaps, margins, strict=True)):
        return _outcome(ALIKE, detail)
    return _outcome(DIRECTION if first == claim["best"] else NOT_REPRODUCED, detail)


def _fitting(claim: Mapping, cells: Mapping[str, Cell], labels: Mapping[str, str]) -> Outcome:
    """Without memory, or with more than the paper's GPU has, is too large for it."""
    limit = claim["memory_gb"]
    without = {
        row: cell["ours"] is None and cell["verdict_reason"].startswith(NO_MEMORY)
        for row, cell in cells.items()
    }
    ours = []
    for row, cell in cells.items():
        if cell["ours"] is not None:
            ours.append(f"{labels[row]} {shown(cell['ours'], 1)} GB")
        elif without[row]:
            ours.append(f"{labels[row]} out of memory")
    numbers = {"ours": ", ".join(ours)}
    runnable = {row: cell for row, cell in cells.items() if not without[row]}
    if blocked := _blocked(list(runnable.values())):
        return numbers | blocked
    if any(without[row] for row in claim["fits"]):
        return numbers | _outcome(CANNOT, "this GPU has no memory for either")
    fits = {row: row in runnable and cells[row]["ours"] <= limit for row in cells}
    sound = all(fits[r] for r in claim["fits"]) and not any(fits[r] for r in claim["cannot"])
    verdict = REPRODUCED if sound else NOT_REPRODUCED
    return numbers | _outcome(verdict, f"the paper's GPU has {limit:g} GB")


def _preferred(claim: Mapping, votes: Manifest | None) -> Outcome:
    """Of a claim on people by people's votes alone, of one on a judge by the models' that judge."""
    judges = claim.get("by", PEOPLE) != PEOPLE
    given = votes.results.get("win_rates", ()) if votes else ()
    given = [entry for entry in given if (entry.get("by", PEOPLE) != PEOPLE) == judges]
    if not given:
        needed = "answers of a model that judges needed: give judge" if judges else "votes needed"
        return _outcome(CANNOT, needed)
    rates = []
    for entry in given:
        sides = (entry["better"], entry["than"])
        if entry["question"] != claim["question"] or set(sides) != {claim["better"], claim["than"]}:
            continue
        rate, (low, high) = entry["rate"], entry["interval"]
        if sides[0] == claim["than"]:
            rate, low, high = 1 - rate, 1 - high, 1 - low
        by = entry.get("by", PEOPLE)
        rates.append((rate, low, high, f"by {by}, n = {entry.get('n', '?')}"))
    if not rates:
        return _outcome(NOT_RUN, "no votes on this pair")
    rate, low, high, who = rates[0]
    detail = f"preferred in {rate:.0%} [{low:.0%}, {high:.0%}] of pairs ({who})"
    verdict = DIRECTION if rate > HALF else NOT_REPRODUCED
    if plumbing(votes):
        return _outcome(NOT_JUDGED, RESTS_ON)
    return _outcome(ALIKE if low <= HALF <= high else verdict, detail) | {"ours": f"{rate:.0%}"}


def _pair(cells: Mapping[str, Cell], rows: list[str], column: Mapping) -> str:
    """Ours of two rows, `34.40 against 31.50`; a dash for what is not there."""
    numbers = [cells.get(row, {}).get("ours") for row in rows]
    texts = ["–" if number is None else measured(number, column["digits"]) for number in numbers]
    return "" if set(texts) == {"–"} else " against ".join(texts)


def _outcome(verdict: str, detail: str) -> Outcome:
    return {"verdict": verdict, "detail": detail}
