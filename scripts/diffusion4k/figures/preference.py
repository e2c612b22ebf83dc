"""Figure 6: which of two models' pictures people, and a model that judges, prefer."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import patheffects
from matplotlib.figure import Figure

from diffusion4k.errors import UserError
from diffusion4k.figures import fonts
from diffusion4k.figures.canvas import COLOURS, GRID, INK, MUTED, Canvas, panel_style
from diffusion4k.figures.shown import Shown
from diffusion4k.people.votes import QUESTIONS

WIDTH, BAR, HEAD, FOOT = 900, 30, 40, 50  # px


def bars(shown: Shown) -> Figure:
    """A panel for each row of `shown`, a pair "a,b" of models, from the manifests of counted votes.

    A bar is all votes on one question, by people or by a judge: the left part chose the first
    model; the black line is the 95 % interval. A row without votes says the setting `reason`.
    """
    rates = {key: _rates(shown, key) for key in shown.labels}
    # px of each panel: a bar a row and a line a question, or the line of `reason`
    heights = [
        BAR * max(len(rows) + len({r["question"] for r in rows}), 1) for rows in rates.values()
    ]
    total = sum(heights) + (HEAD + FOOT) * len(heights)
    figure = Canvas(WIDTH, total).figure
    top = 0
    for (key, rows), height in zip(rates.items(), heights, strict=True):
        top += HEAD + height
        panel = figure.add_axes((0.2, 1 - top / total, 0.75, height / total))
        top += FOOT
        title = shown.labels[key]
        panel.set_title(title, size=10.5, loc="left", **fonts.plain(title))
        if rows:
            _draw(panel, rows)
            continue
        panel.set_axis_off()
        text = textwrap.fill(shown.settings.get("reason") or "no votes on this pair", 90)
        panel.text(0, 0.6, text, transform=panel.transAxes, size=9.5, color=MUTED)
    return figure


def _rates(shown: Shown, key: str) -> list[Mapping[str, Any]]:
    """The win rates of a pair, question by question, people first."""
    rows = [
        row
        for source in shown.rows.get(key, [])
        for row in source.results.get("win_rates", ())
        if f"{row['better']},{row['than']}" == key
    ]
    if unknown := [row["question"] for row in rows if row["question"] not in QUESTIONS]:
        raise UserError(f"{shown.rows[key][0].path}: no question {unknown[0]!r}; count votes again")
    order = list(QUESTIONS)
    return sorted(rows, key=lambda r: (order.index(r["question"]), r["by"] != "people", r["by"]))


def _draw(panel, rows: Sequence[Mapping[str, Any]]) -> None:
    """The bars of one pair from top to bottom, each question's below its name."""
    at, question, ticks = 0.0, "", []
    for row in rows:
        if row["question"] != question:
            question = row["question"]
            panel.text(0, at, QUESTIONS[question], size=9.5, weight="bold", va="center")
            at += 0.9
        rate, (low, high) = 100 * row["rate"], (100 * end for end in row["interval"])
        colour = COLOURS[0 if row["by"] == "people" else 2]
        panel.barh(at, rate, height=0.8, color=colour)
        panel.barh(at, 100 - rate, left=rate, height=0.8, color=GRID)
        line = {"color": INK, "lw": 1.6, "solid_capstyle": "butt"}
        panel.plot([low, high], [at, at], **line)
        for end in (low, high):
            panel.plot([end, end], [at - 0.2, at + 0.2], **line)
        text = panel.text(1, at, f"{rate:.0f} %", color="white", va="center", size=9.5)
        text.set_path_effects([patheffects.withStroke(linewidth=2, foreground=colour)])
        kind, _, name = row["by"].partition(":")
        ticks.append((at, f"{f'judge {name}' if kind == 'judge' else kind} (n = {row['n']})"))
        at += 1
    panel.axvline(50, color=INK, lw=0.8, ls="--")
    panel.set(xlim=(0, 100), ylim=(at - 0.4, -0.6))
    panel.set_xlabel("votes (%), with 95 % interval", size=9)
    panel.set_yticks([at for at, _ in ticks], [label for _, label in ticks], size=9)
    for label in panel.get_yticklabels():
        label.update(fonts.plain(label.get_text()))
    panel_style(panel)
    panel.grid(visible=False)
    panel.tick_params(axis="y", length=0)
