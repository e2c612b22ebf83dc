"""One table (see tables.assemble) as a LaTeX table environment with booktabs rules."""

import re
import unicodedata
from typing import Any

from diffusion4k.paper import prompt_table
from diffusion4k.paper.render import headings, interval, label, line

_SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    # in the old encoding of fonts, which is still the default, these print other signs
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",
    # signs that a plain font lacks
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "→": r"$\rightarrow$",
    "Δ": r"$\Delta$",
    "Σ": r"$\Sigma$",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "≈": r"$\approx$",
}
_HEAD = r"""% needs \usepackage{booktabs,adjustbox}
% \newcommand{\interval}[1]{{\scriptsize #1}} before it shows the intervals of ours
\begin{table}[t]
\providecommand{\interval}[1]{}
\centering
\small
\setlength{\tabcolsep}{4pt}
"""


def latex(table: dict[str, Any], name: str | None = None) -> str:
    r"""A table environment, UTF-8: no wider than the line, notes below the rules.

    The number in front of the title is left to \caption. `name` gives the label, tab:NAME.
    Intervals of ours are arguments of \interval, which prints nothing unless it is defined.
    """
    title = re.sub(r"^Table \w+: *", "", table["title"])
    caption = " ".join(filter(None, [title[:1].upper() + title[1:], table["caption"]]))
    text = _HEAD + f"\\caption{{{escape(caption)}}}\n"
    text += f"\\label{{tab:{name}}}\n" if name else ""
    text += "\\begin{adjustbox}{max width=\\linewidth}\n" + _tabular(table) + "\\end{adjustbox}\n"
    if table["footer"]:
        text += "\n\\begin{minipage}{\\linewidth}\\footnotesize\\raggedright\n"
        text += "".join(f"\\par {escape(note)}\n" for note in table["footer"])
        text += "\\end{minipage}\n"
    text += "\\end{table}\n"
    if foreign := sorted(set(filter(_foreign, text))):
        text = f"% XeLaTeX or LuaLaTeX, and a font that has {' '.join(foreign)}\n{text}"
    return text


def escape(text: str) -> str:
    """`text` as LaTeX that prints it and nothing else, in any place of a table or a caption."""
    # an empty line would end \caption, a control character is none that TeX reads
    text = " ".join("".join(" " if unicodedata.category(c) == "Cc" else c for c in text).split())
    text = "".join(_SPECIAL.get(character, character) for character in text)
    text = re.sub("-(?=-)", "-{}", text)  # two are one dash
    # behind \\ and \midrule these would be options of theirs
    return re.sub(r"^([\[*])", r"{\1}", text)


def _foreign(character: str) -> bool:
    """Whether pdfLaTeX stops at it: beyond Latin letters, punctuation and what it is told here."""
    code = ord(character)
    return code > 0x17F and not 0x2010 <= code <= 0x203A and character != "€"


def _tabular(table: dict[str, Any]) -> str:
    if table.get("kind") == "prompts":
        return prompt_table.tabular(table, escape)
    groups = [(column, headings(table, column)) for column in table["columns"]]
    heads = [
        f"\\multicolumn{{{len(names)}}}{{c}}{{{escape(label(column))}}}"
        if len(names) > 1
        else escape(label(column))
        for column, names in groups
    ]
    names = [escape(name) for _, names in groups for name in names]
    rows = [[escape(row["label"]), *_cells(table, row)] for row in table["rows"]]
    lines = [
        f"\\begin{{tabular}}{{l{'r' * len(names)}}}",
        "\\toprule",
        *(f"{' & '.join(row)} \\\\" for row in (["", *heads], ["", *names])),
        "\\midrule",
        *(f"{' & '.join(row)} \\\\" for row in rows),
        "\\bottomrule",
        "\\end{tabular}\n",
    ]
    return "\n".join(lines)


def _cells(table: dict[str, Any], row: dict[str, Any]) -> list[str]:
    cells = [
        f"\\textbf{{{escape(text)}}}" if best else escape(text) for text, best in line(table, row)
    ]
    at = 0
    for column in table["columns"]:
        names, cell = headings(table, column), row["cells"][column["key"]]
        if cell.get("interval") and not column.get("intervals"):  # else it is in the text
            ends = escape(interval(cell, column["digits"]))
            cells[at + names.index("ours")] += f"\\interval{{ {ends}}}"
        at += len(names)
    return cells
