"""Table 11: prompts in words, in all the forms of a table; it has rows, and no numbers."""

import io
from collections.abc import Iterable
from typing import Any

import jinja2
import pandas as pd

from diffusion4k.endpoints.prompts import Prompt

HEAD = ("prompt", "text", "whose words")

_HTML = """\
<table class="prompts">
<thead><tr>{% for name in head %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{%- for row in rows %}
<tr><th scope="row" class="key">{{ row.label }}</th>
<td style="text-align: left; white-space: pre-wrap">{{ row.text }}</td>
<td style="text-align: left; white-space: normal">{{ row.note }}</td></tr>
{%- endfor %}
</tbody>
</table>
"""
_jinja = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)


def assemble(title: str, prompts: Iterable[Prompt], footer: Iterable[str] = ()) -> dict[str, Any]:
    """The table as JSON-able data: that of tables.assemble without columns, with texts in its rows.

    A row is {"key", "label", "text", "note", "reason", "cells"}, the last two empty.
    """
    rows = [
        {"key": p.name, "label": p.title, "text": p.text, "note": p.note, "reason": "", "cells": {}}
        for p in prompts
    ]
    return {
        "kind": "prompts",
        "title": title,
        "caption": "",
        "columns": [],
        "rows": rows,
        "footer": list(footer),
        "provenance": [],
    }


def tidy_csv(table: dict[str, Any]) -> str:
    """One line a prompt: its name and title, its text with line ends, whose words it is."""
    columns = ("key", "label", "text", "note")
    frame = pd.DataFrame([[row[c] for c in columns] for row in table["rows"]])
    text = io.StringIO()
    frame.to_csv(text, index=False, header=["row", *HEAD])
    return text.getvalue()


def markdown(table: dict[str, Any]) -> str:
    """A quotation a prompt: texts are too long for the columns of a terminal."""
    lines = [f"### {table['title']}"]
    for row in table["rows"]:
        quoted = [f"> {line}".rstrip() for line in row["text"].splitlines()]
        lines += ["", f"**{row['label']}** ({row['note']})", "", *quoted]
    notes = [f"- {line}" for line in table["footer"]]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def html(table: dict[str, Any]) -> str:
    """The bare <table>, for the report's style sheet."""
    return _jinja.from_string(_HTML).render(head=HEAD, rows=table["rows"])


def tabular(table: dict[str, Any], escape) -> str:
    r"""A tabular of wrapped columns; `escape` makes LaTeX of a text. Line ends are \newline."""
    lines = [
        r"\begin{tabular}{p{0.2\linewidth}p{0.55\linewidth}p{0.2\linewidth}}",
        r"\toprule",
        " & ".join(map(escape, HEAD)) + r" \\",
        r"\midrule",
    ]
    for row in table["rows"]:
        text = r" \newline ".join(escape(line) for line in row["text"].splitlines() if line.strip())
        lines.append(f"{escape(row['label'])} & {text} & {escape(row['note'])} " + r"\\")
    return "\n".join([*lines, r"\bottomrule", "\\end{tabular}\n"])
