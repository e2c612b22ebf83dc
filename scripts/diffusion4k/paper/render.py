"""One table (see tables.assemble) as tidy CSV, Markdown for the terminal, and HTML."""

from collections.abc import Callable
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from diffusion4k.paper import prompt_table
from diffusion4k.paper.footer import ALIKE, MARKS
from diffusion4k.paper.tables import measured, shown
from diffusion4k.paper.verdicts import NOT_RUN

ARROWS = {"lower": " ↓", "higher": " ↑", "none": ""}
PARTS = ("published", "ours", "difference")
NOTHING = "–"

# Kept here and not in a file of its own: what a module imports is what its rule tracks.
_FRAGMENT = """\
<table class="results">
<thead>
<tr><th rowspan="2" scope="col" class="key"></th>
{%- for column in table.columns %}
<th colspan="{{ headings(column)|length }}" scope="colgroup"
{%- if column.about %} title="{{ column.about }}"{% endif %}>{{ column.label }}
{%- if arrow(column) %}<span class="arrow">{{ arrow(column) }}</span>{% endif %}</th>
{%- endfor %}</tr>
<tr>{% for column in table.columns %}{% for heading in headings(column) %}
<th scope="col" class="sub{{ ' first' if loop.first }}">{{ heading }}</th>
{%- endfor %}{% endfor %}</tr>
</thead>
<tbody>
{%- for row in table.rows %}
<tr{% if row.context %} class="context"{% endif %}>
<th scope="row" class="key">{{ row.label }}
{%- if row.reason %}<span class="reason">{{ row.reason }}</span>{% endif %}</th>
{%- for column in table.columns %}{% set cell = row.cells[column.key] %}
{%- set text = texts(cell, column.digits) %}
{%- for heading in headings(column) %}{% set first = ' first' if loop.first else '' %}
{%- if heading == 'published' %}
<td class="published{{ first }}">{{ sourced(bold(text[0], cell.best[0]), cell) }}</td>
{%- elif heading == 'Δ' %}
<td class="difference">{{ text[2] }}
{%- if mark(cell) %} <span class="verdict" role="img" aria-label="{{ cell.verdict }}"
 title="{{ cell.verdict }}: {{ cell.verdict_reason }}">{{ mark(cell) }}</span>{% endif %}</td>
{%- elif cell.ours is none %}
<td class="empty{{ first }}" title="{{ cell.verdict_reason }}">{{ text[1] }}</td>
{%- else %}
<td class="ours{{ first }}">{{ linked(bold(text[1], cell.best[1]), row, column) }}
{%- if cell.interval %}<span class="interval">{{ interval(cell, column.digits) }}</span>{% endif %}
{%- if cell.against %}<span class="interval">{{ against(cell, column.digits) }}</span>
<span class="interval">{{ versus(cell, row, column) }}</span>{% endif %}</td>
{%- endif %}{% endfor %}{% endfor %}</tr>
{%- endfor %}
</tbody>
</table>
"""

_PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ table.title }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; border-block: 2px solid; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; text-align: right; vertical-align: top; white-space: nowrap; }
thead th { text-align: center; } thead tr:last-child th { text-align: right; }
thead tr:last-child { border-bottom: 1px solid; }
.sub { font-weight: normal; font-size: .8em; } .key { text-align: left; font-weight: normal; }
.first { padding-left: 1.6rem; } .verdict { cursor: help; }
.difference, .empty, .interval, .reason { opacity: .65; }
.interval, .reason { display: block; font-size: .75em; }
.empty { font-style: italic; } .notes { font-size: .85em; opacity: .8; }
</style></head><body>
<h1>{{ table.title }}</h1>{% if table.caption %}<p>{{ table.caption }}</p>{% endif %}
<div class="scroll">{{ fragment }}</div>
<ul class="notes">{% for line in table.footer %}<li>{{ line }}</li>{% endfor %}</ul>
</body></html>
"""

_jinja = jinja2.Environment(autoescape=True, undefined=jinja2.ChainableUndefined)


def headings(table: dict[str, Any], column: dict[str, Any]) -> tuple[str, ...]:
    """What stands below a metric: published, ours and Δ, those of them that some row can have.

    Ours alone where nobody published a number, published alone where nothing here measures it.
    """
    rows = [(row, row["cells"][column["key"]]) for row in table["rows"]]
    published = any(cell["published"] is not None or cell["published_note"] for _, cell in rows)
    own = not column.get("reason") and any(not row.get("context") for row, _ in rows)
    compared = any(cell["difference"] is not None or mark(cell) for _, cell in rows)
    parts = zip(("published", "ours", "Δ"), (published, own, compared), strict=True)
    return tuple(name for name, there in parts if there) or ("ours",)


def line(
    table: dict[str, Any], row: dict[str, Any], ours_only: bool = False, intervals: bool = True
) -> list[tuple[str, bool]]:
    """(text, whether bold) for each of the `headings` of a row's cells, from left to right.

    Without `intervals` only those stand behind ours that say what the number says.
    """
    cells = []
    for column in table["columns"]:
        cell = row["cells"][column["key"]]
        published, ours, difference = texts(cell, column["digits"])
        if cell.get("interval") and (intervals or column.get("intervals")):
            ours += f" {interval(cell, column['digits'])}"
        parts = {
            "published": (published, cell["best"][0]),
            "ours": (ours, cell["best"][1]),
            "Δ": (f"{difference} {mark(cell)}".strip(), False),
        }
        cells += [
            parts[name] for name in headings(table, column) if not ours_only or name == "ours"
        ]
    return cells


def texts(cell: dict[str, Any], digits: int) -> tuple[str, str, str]:
    """What the cell shows: published as printed, ours and difference rounded, with its sign."""
    published, ours, difference = (cell[part] for part in PARTS)
    printed = cell["published_note"] or NOTHING
    if published is not None:
        printed = _minus(shown(published, cell["published_digits"]))
    if ours is None:
        # a longer reason stands with the row and in the footer, not in every cell
        return printed, NOT_RUN if cell["verdict"] == NOT_RUN else NOTHING, ""
    own = _minus(measured(ours, digits))
    if "standard_error" in cell:
        own += f" ± {shown(cell['standard_error'], digits)}"
    if "against" in cell and not cell["against"]["distinguishable"]:
        own = f"{ALIKE} {own}"
    return printed, own, "" if difference is None else _signed(difference, digits)


def mark(cell: dict[str, Any]) -> str:
    """The sign of a verdict that compares with the paper, which the footer explains."""
    return MARKS.get(cell["verdict"], "")


def tidy_csv(table: dict[str, Any]) -> str:
    """One line a cell, unrounded: row, metric, published, ours, difference, n, verdict, its reason.

    Published may be in words, as "OOM".
    Then the standard error and the interval of ours, and the paired difference to the baseline row
    with the ends of its interval, where there are such.
    """
    if table.get("kind") == "prompts":
        return prompt_table.tidy_csv(table)
    header = ["row", "metric", *PARTS, "n", "verdict", "verdict_reason"]
    lines = []
    for row in table["rows"]:
        for column in table["columns"]:
            cell = row["cells"][column["key"]]
            name = row["label"] if row.get("context") else row["key"]
            against = cell.get("against", {})
            ends = against.get("interval", [None, None])
            own = cell.get("standard_error"), *cell.get("interval", [None, None])
            values = [name, column["key"], *(cell[part] for part in header[2:])]
            if cell["published"] is None:
                values[2] = cell["published_note"] or None
            lines.append([*values, *own, against.get("difference"), *ends])
    header += ["standard_error", "low", "high", "against", "against_low", "against_high"]
    frame = pd.DataFrame(lines, columns=header).astype({"n": "Int64"})
    return frame.to_csv(index=False)


def markdown(table: dict[str, Any]) -> str:
    """A table for the terminal: columns aligned, the best in bold."""
    if table.get("kind") == "prompts":
        return prompt_table.markdown(table)
    grid = [[""] + [f"{label(c)} {h}" for c in table["columns"] for h in headings(table, c)]]
    for row in table["rows"]:
        cells = [f"**{text}**" if best else text for text, best in line(table, row)]
        grid.append([text.replace("|", "\\|") for text in [row["label"], *cells]])
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    grid.insert(1, ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]])
    lines = []
    for cells in grid:
        first, *others = zip(cells, widths, strict=True)
        aligned = [first[0].ljust(first[1])] + [text.rjust(width) for text, width in others]
        lines.append(f"| {' | '.join(aligned)} |")
    notes = [f"- {line}" for line in table["footer"]]
    return "\n".join([f"### {table['title']}", "", *lines, "", *notes]).rstrip() + "\n"


def html(
    table: dict[str, Any], link: Callable[[str, str], str] | None = None, quoted: str = ""
) -> str:
    """The bare <table>, for the report's style sheet.

    `link` gives the address that a number of ours leads to, of its row and its column's family; of
    a difference to another row the family is `<family>:against`. `quoted` is the address that
    published numbers lead to.
    """
    if table.get("kind") == "prompts":
        return prompt_table.html(table)

    def linked(text: str, row: dict[str, Any], column: dict[str, Any], kind: str = "") -> str:
        family = f"{column['family']}{kind}"
        return to(link(row["key"], family) if link and not row.get("context") else "", text)

    def to(where: str, text: str) -> str:
        return Markup('<a href="{}">{}</a>').format(where, text) if where else text

    return _jinja.from_string(_FRAGMENT).render(
        table=table,
        headings=lambda column: headings(table, column),
        bold=lambda text, best: Markup("<strong>{}</strong>").format(text) if best else text,
        linked=linked,
        sourced=lambda text, cell: to(quoted if cell["published"] is not None else "", text),
        versus=lambda cell, row, column: linked(
            f"vs {cell['against']['label']}", row, column, ":against"
        ),
        mark=mark,
        texts=texts,
        interval=interval,
        against=_against,
        arrow=lambda column: ARROWS[column["direction"]],
    )


def page(table: dict[str, Any]) -> str:
    """The table as a page of its own."""
    fragment = Markup(html(table))
    return _jinja.from_string(_PAGE).render(table=table, fragment=fragment)


def label(column: dict[str, Any]) -> str:
    """The column's heading with the arrow of its better direction."""
    return column["label"] + ARROWS[column["direction"]]


def interval(cell: dict[str, Any], digits: int) -> str:
    """The interval of ours; of pictures that all score the same there is none to give."""
    if len(set(cell["interval"])) == 1:
        return "all alike"
    low, high = (_minus(shown(value, digits)) for value in cell["interval"])
    return f"[{low}, {high}]"


def _against(cell: dict[str, Any], digits: int) -> str:
    against = cell["against"]
    low, high = (_signed(value, digits) for value in against["interval"])
    return f"{_signed(against['difference'], digits)} [{low}, {high}]"


def _signed(value: float, digits: int) -> str:
    text = shown(value, digits)
    return _minus(text) if float(text) <= 0 else f"+{text}"


def _minus(text: str) -> str:
    """A number with the sign as it is set: shown's hyphen is for parsing."""
    return text.replace("-", "−")
