"""Where a figure looks closer: one rule for all of its pictures, and so for all of its rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from diffusion4k import images
from diffusion4k.figures import layout
from diffusion4k.figures.layout import Tile
from diffusion4k.metrics import glcm

Square = tuple[int, int, int]  # top, left, side in px


def matrices(settings: Mapping[str, Any]) -> glcm.Matrices:
    """The co-occurrence matrices of `metrics.glcm`."""
    lists = {name: tuple(settings[name]) for name in ("distances", "angles")}
    return glcm.Matrices(settings["patch"], settings["levels"], **lists)


def richest(picture: Image.Image, side: int, settings: Mapping[str, Any]) -> Square:
    """The square of `side` px, on the grid of patches, whose mean GLCM Score is the highest.

    `settings`: `metrics.glcm`; of equal squares the first counts, row by row.
    """
    of = matrices(settings)
    scores = glcm.patches(glcm.grey(np.asarray(picture)), of)["glcm"]
    across = max(1, min(side // of.patch, *scores.shape))
    means = np.lib.stride_tricks.sliding_window_view(scores, (across, across)).mean(axis=(2, 3))
    row, column = np.unravel_index(np.argmax(means.round(9)), means.shape)
    # a side that is no multiple of the patch may not leave the picture
    top = min(int(row) * of.patch, picture.height - side)
    left = min(int(column) * of.patch, picture.width - side)
    return top, left, side


def framed(picture: Image.Image | None, length: int, square: Square | None = None) -> Tile:
    """A picture in `length` px, the square framed in it."""
    if picture is None or square is None:
        return Tile(picture and layout.fit(picture, length))
    top, left, side = square
    tall, wide = picture.height, picture.width
    frame = (top / tall, left / wide, side / tall, side / wide)
    return Tile(layout.fit(picture, length), frame=frame)


def enlarged(picture: Image.Image | None, length: int, square: Square) -> Tile:
    """The square of a picture, in `length` px."""
    return Tile(picture and layout.fit(images.crop(picture, *square), length))


def lines(
    caption: str,
    pictures: list[Image.Image | None],
    length: int,
    zoom: int | None,
    settings: Mapping[str, Any] | None,
) -> list[layout.Line]:
    """A line of pictures of one size, and with `zoom` (px) a second with the same square of each.

    The square is the richest of the first picture that is there.
    """
    first = next((picture for picture in pictures if picture), None)
    if not zoom or first is None:
        return [layout.Line(caption, [framed(picture, length) for picture in pictures])]
    square = richest(first, zoom, settings or {})
    top, left, side = square
    words = f"{side} x {side} px from row {top}, column {left}"
    return [
        layout.Line(caption, [framed(picture, length, square) for picture in pictures]),
        layout.Line(words, [enlarged(picture, length, square) for picture in pictures]),
    ]
