"""A matplotlib figure measured in px, and its two files: one drawing, PNG and PDF."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from diffusion4k.figures import fonts
from diffusion4k.files import atomic

DPI = 100  # px of the PNG an inch
# of all pictures in a PDF, which keeps them without loss: 6 MB at most
PDF_PIXELS = 3_000_000
COLOURS = ("#1f6f78", "#c4572f", "#5b5ea6", "#8a6d1d", "#8c3f66")
INK, MUTED, GRID, FRAME = "#222222", "#777777", "#e3e3e3", "#ff2d55"


class Canvas:
    """A white sheet of `width` x `height` px, measured from its upper left corner."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Empty axes in that box."""
        lower = 1 - (top + height) / self.height
        box = (left / self.width, lower, width / self.width, height / self.height)
        axes = self.figure.add_axes(box)
        axes.set_axis_off()
        return axes

    def picture(
        self,
        image: Image.Image,
        left: float,
        top: float,
        frame: tuple[float, float, float, float] | None = None,
    ) -> None:
        """An image with its pixels on the sheet's; `frame`: (top, left, height, width), in px."""
        axes = self.axes(left, top, image.width, image.height)
        extent = (0, image.width, image.height, 0)
        axes.imshow(np.asarray(image), extent=extent, interpolation="nearest", aspect="auto")
        axes.set(xlim=(0, image.width), ylim=(image.height, 0))
        if frame:
            upper, start, tall, wide = frame
            line = {"fill": False, "edgecolor": FRAME, "linewidth": max(1.0, image.width / 256)}
            axes.add_patch(Rectangle((start, upper), wide, tall, **line))

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        """A text that is drawn as it is written."""
        where = (x / self.width, 1 - y / self.height)
        self.figure.text(*where, text, **style | fonts.plain(text))


def panel_style(panel: Axes) -> None:
    """Axes of a plot: no box, a pale grid."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(MUTED)
    panel.tick_params(labelsize=8, color=MUTED)
    panel.grid(axis="y", color=GRID, lw=0.7)
    panel.set_axisbelow(True)


def save(figure: Figure, paths: Mapping[str, Path]) -> None:
    """Write it in each form, "png" and "pdf", atomically; the same figure gives the same bytes.

    In the PDF letters are TrueType and pictures have PDF_PIXELS at most, all together.
    """
    pictures = [image for axes in figure.axes for image in axes.images]
    total = sum(image.get_size()[0] * image.get_size()[1] for image in pictures)
    for form, path in sorted(paths.items(), reverse=True):  # the PNG, as its pictures are, first
        options: dict[str, Any] = {"dpi": DPI}
        if form == "pdf":
            if total > PDF_PIXELS:
                options["dpi"] = DPI * (PDF_PIXELS / total) ** 0.5
                for image in pictures:  # they are made smaller
                    image.set_interpolation("hanning")
            options["metadata"] = {"CreationDate": None}
        with atomic(path) as temporary, matplotlib.rc_context({"pdf.fonttype": 42}):
            figure.savefig(temporary, format=form, **options)
