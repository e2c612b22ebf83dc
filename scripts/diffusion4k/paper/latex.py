"""One table (see tables.assemble) as a LaTeX table environment with booktabs rules."""

from typing import Any

from diffusion4k.paper import prompt_table, tex
from diffusion4k.paper.footer import OF_PUBLISHED
from diffusion4k.paper.render import headings, interval, label, line
from diffusion4k.paper.tex import escape

_HEAD = r"""% needs \usepackage{booktabs,adjustbox}
% \newcommand{\interval}[1]{} before it leaves out the intervals of ours
\begin{table}[t]
\providecommand{\interval}[1]{{\scriptsize #1}}
\centering
\small
\setlength{\tabcolsep}{4pt}
\setlength{\abovecaptionskip}{0pt}
\setlength{\belowcaptionskip}{6pt}
"""


def latex(table: dict[str, Any], name: str | None = None, *, ours_only: bool = False) -> str:
    r"""A table environment, UTF-8: no wider than the line, notes below the rules.

    The number in front of the title is left to \caption. `name` gives the label, tab:NAME.
    Intervals of ours are arguments of \interval, small unless a document defines it otherwise.
    `ours_only` leaves out what was published, differences and verdicts; a comment where nothing
    is left.
    """
    notes = table["footer"]
    if ours_only and table.get("kind") != "prompts":
        table = _ours(table)
        notes = [note for note in notes if not note.startswith(OF_PUBLISHED)]
        if not (table["rows"] and table["columns"]):
            return f"% {escape(table['title'])}: nothing of ours\n"
    text = _HEAD + tex.caption(table["title"], table["caption"], f"tab:{name}" if name else "")
    tabular = _tabular(table, ours_only)
    text += "\\begin{adjustbox}{max width=\\linewidth}\n" + tabular + "\\end{adjustbox}\n"
    return tex.checked(text + tex.notes(notes) + "\\end{table}\n")


def _ours(table: dict[str, Any]) -> dict[str, Any]:
    """The table's own rows and columns, without those that others alone published."""
    rows = [row for row in table["rows"] if not row.get("context")]
    columns = [column for column in table["columns"] if not column.get("reason")]
    return table | {"rows": rows, "columns": columns}


def _tabular(table: dict[str, Any], ours_only: bool) -> str:
    if table.get("kind") == "prompts":
        return prompt_table.tabular(table, escape)
    groups = [
        (column, [name for name in headings(table, column) if not ours_only or name == "ours"])
        for column in table["columns"]
    ]
    heads = [
        f"\\multicolumn{{{len(names)}}}{{c}}{{{escape(label(column))}}}"
        if len(names) > 1
        else escape(label(column))
        for column, names in groups
    ]
    names = [escape(name) for _, names in groups for name in names]
    rows = [[escape(row["label"]), *_cells(table, row, ours_only)] for row in table["rows"]]
    lines = [
        f"\\begin{{tabular}}{{l{'r' * len(names)}}}",
        "\\toprule",
        # below each head stands nothing but "ours" in the form that has no more
        *(f"{' & '.join(row)} \\\\" for row in [["", *heads], ["", *names]][: 1 + (not ours_only)]),
        "\\midrule",
        *(f"{' & '.join(row)} \\\\" for row in rows),
        "\\bottomrule",
        "\\end{tabular}\n",
    ]
    return "\n".join(lines)


def _cells(table: dict[str, Any], row: dict[str, Any], ours_only: bool) -> list[str]:
    cells = [
        f"\\textbf{{{escape(text)}}}" if best else escape(text)
        for text, best in line(table, row, ours_only, intervals=False)
    ]
    at = 0
    for column in table["columns"]:
        names, cell = headings(table, column), row["cells"][column["key"]]
        if cell.get("interval") and not column.get("intervals"):  # else it is in the text
            ends = escape(interval(cell, column["digits"]))
            place = at + (0 if ours_only else names.index("ours"))
            cells[place] += f"\\interval{{ {ends}}}"
        at += 1 if ours_only else len(names)
    return cells
