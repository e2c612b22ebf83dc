"""The paper's claims, each with a verdict: read from the tables' cells, comparisons and votes.

A claim is a mapping: `id`, `text`, and one of these shapes.

    table, column, metric, better, than     row `better` is better than row `than`
    table, column, metric, best             no other row of the table is better
    table, cannot, fits, memory_gb          of Table 5: rows `cannot` need more memory than the GPU
                                            of the paper has, rows `fits` do not
    figure, question, better, than          of people's votes
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from diffusion4k.manifest import Manifest
from diffusion4k.paper.tables import shown
from diffusion4k.paper.verdicts import (
    CANNOT,
    NO_MEMORY,
    NOT_JUDGED,
    NOT_REPRODUCED,
    NOT_RUN,
    REPRODUCED,
    RESTS_ON,
    margin,
    plumbing,
)

DIRECTION = "direction reproduced"  # the paper's sign, and the interval of ours excludes zero
ALIKE = "cannot be told apart"  # the interval of ours holds zero
VERDICTS = (REPRODUCED, DIRECTION, ALIKE, NOT_REPRODUCED, NOT_JUDGED, NOT_RUN, CANNOT)
MEMORY = "memory_gb"  # the column of a claim about what fits
HALF = 0.5  # of votes: nobody is preferred

Outcome = dict[str, str]  # verdict, detail, and what stands for ours and published
Table = Mapping[str, Any]
Cell = Mapping[str, Any]


def judge(
    claims: Iterable[Mapping[str, Any]],
    tables: Mapping[str, Table],
    comparisons: Mapping[str, Manifest],
    votes: Manifest | None = None,
) -> dict[str, Any]:
    """{"claims": [{id, text, target, where, verdict, detail, ours, published}], "counts"}.

    tables: name => a table as tables.assemble gives it. comparisons: claim => paired differences
    `better` - `than` of its family. votes: a manifest of {"win_rates": [{better, than, question,
    rate, interval, n, by}]}, None where nobody voted. Of a claim all but its verdict is text for
    readers; `target` is the table or figure.
    """
    judged = []
    for claim in claims:
        target = claim.get("table") or claim["figure"]
        if "figure" in claim:
            where, outcome = claim["question"].replace("_", " "), _preferred(claim, votes)
        elif target not in tables:
            where = claim.get("column", MEMORY)
            outcome = _outcome(NOT_RUN, "its table is no target of this configuration")
        else:
            table = tables[target]
            name = claim.get("column", MEMORY)
            labels = (c["label"] for c in table["columns"] if c["key"] == name)
            where = next(labels, name)
            outcome = _from_table(claim, table, comparisons.get(claim["id"]))
        place = {"target": target, "where": f"{target.replace('_', ' ').capitalize()}, {where}"}
        empty = {"detail": "", "ours": "", "published": ""}
        judged.append({"id": claim["id"], "text": claim["text"]} | place | empty | outcome)
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


def _from_table(claim: Mapping, table: Table, comparison: Manifest | None) -> Outcome:
    rows = {row["key"]: row["cells"] for row in table["rows"] if not row.get("context")}
    columns = {column["key"]: column for column in table["columns"]}
    if (name := claim.get("column", MEMORY)) not in columns:
        return _outcome(NOT_RUN, f"no column of this configuration: {name}")
    if "cannot" in claim:
        named = [*claim["cannot"], *claim["fits"]]
        cells = {row: rows[row][MEMORY] for row in named if row in rows}
        labels = {row["key"]: row["label"] for row in table["rows"]}
        return _missing(cells, named) or _fitting(claim, cells, labels)
    column, cells = columns[name], {row: rows[row][name] for row in rows}
    if "best" in claim:
        named = list(dict.fromkeys([claim["best"], *cells]))
        decide = _best
    else:
        named = [claim["better"], claim["than"]]
        decide = _better
    numbers = {part: _pair(cells, named[:2], part, column) for part in ("ours", "published")}
    missing = _missing(cells, named) or _blocked([cells[row] for row in named])
    return numbers | (missing or decide(claim, cells, column, comparison))


def _missing(cells: Mapping[str, Cell], named: list[str]) -> Outcome:
    lacking = ", ".join(row for row in named if row not in cells)
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
    difference = better["ours"] - than["ours"]
    if comparison:
        low, high = comparison.results[claim["metric"]]["interval"]
        basis = "95 % interval, paired by prompt"
    else:
        allowed = margin(column, better, than)
        if allowed is None:
            return _outcome(
                NOT_JUDGED, "its uncertainty is not known; the table's `tolerance` sets one"
            )
        low, high = difference - allowed, difference + allowed
        basis = (
            "tolerance"
            if "tolerance" in column
            else "nothing is sampled"
            if not allowed
            else "95 %"
        )
    digits = column["digits"]
    ends = ", ".join(f"{end:+.{digits}f}" for end in (low, high))
    detail = f"{difference:+.{digits}f} [{ends}] ({basis})"
    if low <= 0 <= high:
        return _outcome(ALIKE, detail)
    return _outcome(DIRECTION if (difference > 0) == (sign > 0) else NOT_REPRODUCED, detail)


def _best(
    claim: Mapping, cells: Mapping[str, Cell], column: Mapping, _: Manifest | None = None
) -> Outcome:
    sign = -1 if column["direction"] == "lower" else 1
    first = max(cells, key=lambda row: sign * cells[row]["ours"])
    rivals = [row for row in cells if row != first] if first == claim["best"] else [claim["best"]]
    margins = [margin(column, cells[first], cells[row]) for row in rivals]
    if None in margins:
        return _outcome(
            NOT_JUDGED, "its uncertainty is not known; the table's `tolerance` sets one"
        )
    gaps = [abs(cells[first]["ours"] - cells[row]["ours"]) for row in rivals]
    detail = f"best of ours: {first}"
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
    ours, published = [], []
    for row, cell in cells.items():
        if cell["ours"] is not None:
            ours.append(f"{labels[row]} {shown(cell['ours'], 1)} GB")
        elif without[row]:
            ours.append(f"{labels[row]} out of memory")
        number = cell["published_note"]
        if cell["published"] is not None:
            number = f"{shown(cell['published'], cell['published_digits'])} GB"
        # the paper's own number is not of the size that ours is of
        published.append(f"{labels[row].partition('@')[0]} {number}")
    numbers = {"ours": ", ".join(ours), "published": ", ".join(published)}
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
    """People before judges: a model's verdict stands only where nobody was asked."""
    if votes is None:
        return _outcome(CANNOT, "votes needed")
    rates = []
    for entry in votes.results.get("win_rates", ()):
        sides = (entry["better"], entry["than"])
        if entry["question"] != claim["question"] or set(sides) != {claim["better"], claim["than"]}:
            continue
        rate, (low, high) = entry["rate"], entry["interval"]
        if sides[0] == claim["than"]:
            rate, low, high = 1 - rate, 1 - high, 1 - low
        by = entry.get("by", "people")
        rates.append((by != "people", rate, low, high, f"by {by}, n = {entry.get('n', '?')}"))
    if not rates:
        return _outcome(NOT_RUN, "no votes on this pair")
    _, rate, low, high, who = min(rates, key=lambda entry: entry[0])
    detail = f"preferred in {rate:.0%} [{low:.0%}, {high:.0%}] of pairs ({who})"
    verdict = DIRECTION if rate > HALF else NOT_REPRODUCED
    if plumbing(votes):
        return _outcome(NOT_JUDGED, RESTS_ON)
    return _outcome(ALIKE if low <= HALF <= high else verdict, detail) | {"ours": f"{rate:.0%}"}


def _pair(cells: Mapping[str, Cell], rows: list[str], part: str, column: Mapping) -> str:
    """`34.40 against 31.50`, a dash for what is not there."""

    def text(row: str) -> str:
        cell = cells.get(row, {})
        digits = cell["published_digits"] if part == "published" and cell else column["digits"]
        return "–" if cell.get(part) is None else shown(cell[part], digits)

    texts = [text(row) for row in rows]
    return "" if set(texts) == {"–"} else " against ".join(texts)


def _outcome(verdict: str, detail: str) -> Outcome:
    return {"verdict": verdict, "detail": detail}
