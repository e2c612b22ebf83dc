"""One table (see tables.assemble) as a LaTeX table environment with booktabs rules."""

import re
from typing import Any

import pandas as pd

from diffusion4k.paper.render import headings, label, line


def latex(table: dict[str, Any]) -> str:
    r"""A table environment for \usepackage{booktabs}; UTF-8, notes below the rules."""
    cells = [line(table, row) for row in table["rows"]]
    columns = pd.MultiIndex.from_tuples(
        [(label(column), name) for column in table["columns"] for name in headings(table, column)]
    )
    frame = pd.DataFrame([[text for text, _ in row] for row in cells], columns=columns)
    bold = [["textbf:--rwrap;" if best else "" for _, best in row] for row in cells]
    styles = pd.DataFrame(bold, frame.index, columns)
    styler = frame.style.apply(lambda _: styles, axis=None)
    styler.format(_symbols, escape="latex")
    styler.format_index(_symbols, axis=1, escape="latex")
    labels = [_escape(row["label"]) for row in table["rows"]]
    styler.relabel_index(labels, axis=0)
    name = re.sub(r"[^a-z0-9]+", "-", table["title"].lower()).strip("-")
    body = styler.to_latex(
        hrules=True,
        position="t",
        position_float="centering",
        multicol_align="c",
        column_format="l" + "r" * len(columns),
        caption=_escape(" ".join(filter(None, [table["title"], table["caption"]]))),
        label=f"tab:{name}",
    )
    notes = "".join(f"\\par {_escape(line)}\n" for line in table["footer"])
    small = "\\centering\n\\small\n\\setlength{\\tabcolsep}{4pt}"
    body = body.replace("\\centering", small, 1)
    if notes:
        box = "\\begin{minipage}{\\linewidth}\\footnotesize\\raggedright\n"
        end = "\\end{table}"
        body = body.replace(end, f"\n{box}{notes}\\end{{minipage}}\n{end}")
    return "% needs \\usepackage{booktabs}\n" + body


def _escape(text: str) -> str:
    special = {c: f"\\{c}" for c in "&%$#_{}"}
    special |= {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
    }
    return _symbols(text.translate(str.maketrans(special)))


def _symbols(text: str) -> str:
    """Signs that a plain LaTeX font lacks, after escaping."""
    signs = {"↓": r"$\downarrow$", "↑": r"$\uparrow$", "Δ": r"$\Delta$", "−": "$-$"}
    signs |= {
        "×": r"$\times$",
        "±": r"$\pm$",
        "Σ": r"$\Sigma$",
        "≥": r"$\geq$",
        "≤": r"$\leq$",
        "≈": r"$\approx$",
    }
    return text.translate(str.maketrans(signs))
