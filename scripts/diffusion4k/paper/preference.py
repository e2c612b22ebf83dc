"""Figure 6: which of two models' pictures people, and a model that judges, prefer."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from diffusion4k.errors import UserError
from diffusion4k.paper import figures, fonts
from diffusion4k.paper.panels import Shown
from diffusion4k.people.votes import QUESTIONS

WIDTH, BAR, HEAD, FOOT = 900, 34, 46, 44  # px


def bars(shown: Shown, reason: str = "") -> Figure:
    """A panel for each row of `shown`, a pair "a,b" of models, from the manifests of counted votes.

    A bar is all votes on one question, by people or by a judge: the left part chose the first
    model; the black line is the 95 % interval. A row without votes says `reason`.
    """
    rates = {key: _rates(shown, key) for key in shown.labels}
    heights = [HEAD + FOOT + BAR * max(len(rows) + 2, 3) for rows in rates.values()]
    figure = figures._canvas(WIDTH, sum(heights))
    grid = figure.add_gridspec(
        len(rates), 1, height_ratios=heights, left=0.27, right=0.97, hspace=0.25,
        top=1 - HEAD / sum(heights), bottom=FOOT / sum(heights),
    )  # fmt: skip
    for place, (key, rows) in zip(grid, rates.items(), strict=True):
        panel = figure.add_subplot(place)
        title = shown.labels[key]
        panel.set_title(title, size=10.5, loc="left", **fonts.plain(title))
        if rows:
            _draw(panel, rows)
            continue
        panel.set_axis_off()
        text = textwrap.fill(reason or f"no votes on {title}", 70)
        style = {"ha": "center", "va": "center", "size": 10, "color": figures.MUTED}
        panel.text(0.4, 0.5, text, transform=panel.transAxes, **style)
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
    """The bars of one pair, from top to bottom, a gap between questions."""
    at, ticks = 0.0, []
    for number, row in enumerate(rows):
        first = number == 0 or rows[number - 1]["question"] != row["question"]
        if first and number:
            at += 0.5
        rate, (low, high) = 100 * row["rate"], (100 * end for end in row["interval"])
        colour = figures.COLOURS[0 if row["by"] == "people" else 2]
        panel.barh(at, rate, height=0.8, color=colour)
        panel.barh(at, 100 - rate, left=rate, height=0.8, color=figures.GRID)
        panel.plot([low, high], [at, at], color=figures.INK, lw=1.6, solid_capstyle="butt")
        for end in (low, high):
            panel.plot([end, end], [at - 0.18, at + 0.18], color=figures.INK, lw=1.6)
        said = {"va": "center", "size": 9}
        panel.text(1, at, f"{rate:.0f} %", color="white" if rate > 10 else figures.INK, **said)
        panel.text(99, at, f"{100 - rate:.0f} %", color=figures.INK, ha="right", **said)
        kind, _, name = row["by"].partition(":")
        who = f"{f'judge {name}' if kind == 'judge' else kind}, {row['n']} votes"
        label = f"{QUESTIONS[row['question']]}\n{who}" if first else who
        ticks.append((at, label))
        at += 1
    panel.axvline(50, color=figures.INK, lw=0.8, ls="--")
    panel.set(xlim=(0, 100), ylim=(at - 0.4, -0.6), xlabel="votes (%), interval of 95 %")
    panel.xaxis.label.set_size(9)
    panel.set_yticks([at for at, _ in ticks], [label for _, label in ticks], size=9)
    for text in panel.get_yticklabels():
        text.update(fonts.plain(text.get_text()))
    figures._plain(panel)
    panel.grid(visible=False)
    panel.tick_params(axis="y", length=0)
