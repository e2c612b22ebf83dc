"""Plots: histograms of sizes, curves of losses."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from diffusion4k.errors import UserError
from diffusion4k.figures import fonts
from diffusion4k.figures.canvas import COLOURS, INK, Canvas, panel_style


def histograms(sizes: Mapping[str, pd.DataFrame]) -> Figure:
    """Heights and widths (px) of the images of each split, with their medians (Figure 13)."""
    figure = Canvas(900, 60 + 190 * len(sizes)).figure
    axes = figure.subplots(len(sizes), 2, squeeze=False, sharex="col")
    for column, side in enumerate(("height", "width")):
        together = np.concatenate([table[side] for table in sizes.values()])
        edges = np.histogram_bin_edges(together, bins=40)
        for row, (label, table) in enumerate(sizes.items()):
            panel, median = axes[row, column], table[side].median()
            panel.hist(table[side], bins=edges, color=COLOURS[row % len(COLOURS)], alpha=0.85)
            panel.axvline(median, color=INK, lw=1, ls="--")
            title = f"{label}, {side}: median {median:,.0f} px"
            panel.set_title(title, size=9.5, loc="left", **fonts.plain(title))
            panel.set_ylabel(f"images (of {len(table):,})", size=8)
            panel.yaxis.get_major_locator().set_params(integer=True)
            panel_style(panel)
        axes[-1, column].set_xlabel(f"{side} (px)", size=9)
    figure.tight_layout()
    return figure


CURVES = (
    "Pale: each step; dark: the mean of the last fiftieth of all steps, whose last value stands"
    " above. Each panel has its own scale, logarithmic where a loss falls to a twentieth or less."
)


def curves(losses: Mapping[str, pd.DataFrame]) -> Figure:
    """Training loss by step, a panel each: objectives differ, so do their scales.

    Pale is every step, dark the mean over a fiftieth of the steps: CURVES says so to readers.
    """
    across = min(3, len(losses))
    down = -(-len(losses) // across)
    figure = Canvas(340 * across + 40, 280 * down).figure
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for index, (label, table) in enumerate(losses.items()):
        if not np.isfinite(table["loss"]).all():
            raise UserError(f"{label}: its loss is not a finite number at some step; train it anew")
        panel, colour = panels[index], COLOURS[index % len(COLOURS)]
        window = max(1, len(table) // 50)
        smooth = table["loss"].rolling(window, min_periods=1).mean()
        panel.plot(table["step"], table["loss"], color=colour, alpha=0.25, lw=0.7)
        panel.plot(table["step"], smooth, color=colour, lw=1.6)
        title = f"{label}\n{smooth.iloc[-1]:.3g} at step {table['step'].iloc[-1]:,}"
        panel.set_title(title, **fonts.plain(title))
        panel.title.set(size=9.5, ha="left", position=(0, 1))
        panel.set_xlabel("step", size=9)
        panel.set_ylabel("loss", size=9)
        if table["loss"].min() > 0 and table["loss"].max() > 20 * table["loss"].min():
            panel.set_yscale("log")
        panel_style(panel)
    for panel in panels[len(losses) :]:
        panel.set_axis_off()
    figure.tight_layout()
    return figure
