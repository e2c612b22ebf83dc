"""Figures as matplotlib figures: grids of pictures, histograms of sizes, curves of losses."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from diffusion4k import images
from diffusion4k.errors import UserError
from diffusion4k.files import atomic
from diffusion4k.paper import fonts
from diffusion4k.shape import Size

DPI = 100
LARGEST = 1024  # px a picture: a figure is looked at, not measured
COLOURS = ("#1f6f78", "#c4572f", "#5b5ea6", "#8a6d1d", "#8c3f66")
INK, MUTED, GRID = "#222222", "#777777", "#e3e3e3"


def tile_side(size: int, limit: int = 512) -> int:
    """Side in px of a picture of `size` px in a grid: its own, but 256 to `limit` (<= 1024)."""
    return min(max(size, 256), limit, LARGEST)


def photograph(path: Path, size: Size) -> Image.Image:
    """A reference in `size` px: upright, resized to just cover it, central crop."""
    image = images.load_rgb(path, exif_transpose=True)
    return images.center_crop(images.resize_shorter_side(image, size), size)


def picture(path: Path, side: int, square: tuple[int, int, int] | None = None) -> Image.Image:
    """A picture, or its square (top, left, size) in px, fitted into `side` px."""
    image = images.load_rgb(path, exif_transpose=False)
    return fit(images.crop(image, *square) if square else image, side)


def fit(image: Image.Image, side: int) -> Image.Image:
    """An image in `side` px; a small one is enlarged in whole pixels, not smoothed."""
    if max(image.size) > side:
        return ImageOps.contain(image, (side, side), Image.Resampling.LANCZOS)
    factor = side // max(image.size)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def shards_by_id(paths: Sequence[Path]) -> dict[str, Path]:
    """id => image file, among the files of one model's shards."""
    shown = (path for path in paths if path.parent.name != images.LOSSLESS)
    return {path.stem: path for path in shown if path.suffix.lower() in (".jpg", ".jpeg", ".png")}


def pairs(paths: Sequence[Path]) -> dict[str, tuple[Path, Path]]:
    """id => (photograph, its reconstruction), from `<id>-real.png` and `<id>-reconstructed.png`."""
    real = {path.name.removesuffix("-real.png"): path for path in paths}
    found = {}
    for path in paths:
        name = path.name.removesuffix("-reconstructed.png")
        if name != path.name and name in real:
            found[name] = (real[name], path)
    return found


def grid(
    headings: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Image.Image | None]]],
    *,
    side: int,
) -> Figure:
    """Pictures in columns under `headings`, a row each with its caption on the left.

    `side` is the room of a picture in px; pixels of pictures are pixels of the figure. A picture
    that is None stands as "not run".
    """
    scale = side / 256
    font, gap, head = 8.5 * scale, round(8 * scale), round(34 * scale)
    text = round(190 * scale) if any(caption for caption, _ in rows) else 0
    width = text + len(headings) * (side + gap) + gap
    height = head + len(rows) * (side + gap)
    figure = _canvas(width, height)

    def place(left: float, top: float):
        box = (left / width, 1 - (top + side) / height, side / width, side / height)
        axes = figure.add_axes(box)
        axes.set_axis_off()
        return axes

    for column, heading in enumerate(headings):
        middle = text + gap + column * (side + gap) + side / 2
        where = (middle / width, 1 - head / 2 / height)
        label = textwrap.fill(heading, 30)
        style = {"size": font * 1.1, "weight": "bold", **fonts.plain(label)}
        figure.text(*where, label, ha="center", va="center", **style)
    for row, (caption, pictures) in enumerate(rows):
        top = head + row * (side + gap)
        if caption:
            words = fonts.wrapped(caption, 24, 150)
            where = (gap / width, 1 - (top + side / 2) / height)
            style = {"size": font, "linespacing": 1.4, **fonts.plain(words)}
            figure.text(*where, words, va="center", **style)
        for column, image in enumerate(pictures):
            axes = place(text + gap + column * (side + gap), top)
            if image is None:
                axes.text(0.5, 0.5, "not run", ha="center", va="center", size=font, color=MUTED)
                continue
            axes.set(xlim=(0, side), ylim=(side, 0))
            left, upper = (side - image.width) / 2, (side - image.height) / 2
            extent = (left, left + image.width, upper + image.height, upper)
            axes.imshow(np.asarray(image), extent=extent, interpolation="nearest", aspect="auto")
            axes.set(xlim=(0, side), ylim=(side, 0))
    return figure


def histograms(sizes: Mapping[str, pd.DataFrame]) -> Figure:
    """Heights and widths (px) of the images of each split, with their medians (Figure 13)."""
    figure = _canvas(900, 60 + 190 * len(sizes))
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
            _plain(panel)
        axes[-1, column].set_xlabel(f"{side} (px)", size=9)
    figure.tight_layout()
    return figure


def curves(losses: Mapping[str, pd.DataFrame]) -> Figure:
    """Training loss by step, a panel each: objectives differ, so do their scales.

    Pale is every step, dark the mean over a fiftieth of the steps.
    """
    across = min(3, len(losses))
    down = -(-len(losses) // across)
    figure = _canvas(340 * across + 40, 280 * down)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for index, (label, table) in enumerate(losses.items()):
        if not np.isfinite(table["loss"]).all():
            raise UserError(f"{label}: its loss is not a finite number at some step; train it anew")
        panel, colour = panels[index], COLOURS[index % len(COLOURS)]
        window = max(1, len(table) // 50)
        smooth = table["loss"].rolling(window, min_periods=1).mean()
        panel.plot(table["step"], table["loss"], color=colour, alpha=0.25, lw=0.7)
        panel.plot(table["step"], smooth, color=colour, lw=1.6)
        title = f"{label}: {smooth.iloc[-1]:.3g} at step {table['step'].iloc[-1]:,}"
        panel.set_title(title, **fonts.plain(title))
        panel.title.set(size=9.5, ha="left", position=(0, 1))
        panel.set_xlabel("step", size=9)
        panel.set_ylabel("loss", size=9)
        if table["loss"].min() > 0 and table["loss"].max() > 20 * table["loss"].min():
            panel.set_yscale("log")
        _plain(panel)
    for panel in panels[len(losses) :]:
        panel.set_axis_off()
    figure.tight_layout()
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG. Atomic."""
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=DPI, format="png")


def _canvas(width: int, height: int) -> Figure:
    return Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")


def _plain(panel) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(MUTED)
    panel.tick_params(labelsize=8, color=MUTED)
    panel.grid(axis="y", color=GRID, lw=0.7)
    panel.set_axisbelow(True)
