"""Pictures on a sheet: in the columns of a grid, or one after another in lines of one width."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from PIL import Image, ImageOps

from diffusion4k.figures import fonts
from diffusion4k.figures.canvas import MUTED, Canvas

SMALLEST, LARGEST = 256, 512  # px of a picture's longer side: a figure is looked at, not measured
MANY = 64  # pictures, from which on they are small


@dataclass(frozen=True)
class Tile:
    """A picture, None for one that was not run; a note below it.

    `frame`: a box to draw in it, (top, left, height, width) as fractions of the picture.
    """

    image: Image.Image | None
    note: str = ""
    frame: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Line:
    """The tiles of one line of a grid, and the text to their left."""

    caption: str
    tiles: Sequence[Tile]


def side(length: int, pictures: int) -> int:
    """px that a picture's longer side has in a grid of so many, where it has `length` itself."""
    return min(max(length, SMALLEST), LARGEST if pictures < MANY else SMALLEST)


def fit(image: Image.Image, length: int) -> Image.Image:
    """An image in a square of `length` px; a small one is enlarged in whole pixels, unsmoothed."""
    if max(image.size) > length:
        return ImageOps.contain(image, (length, length), Image.Resampling.LANCZOS)
    factor = length // max(image.size)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def grid(headings: Sequence[str], lines: Sequence[Line], length: int) -> Figure:
    """Tiles in columns under `headings`, a line each with its caption on the left.

    `length` is the longest side of a picture in px; a line is as high, a column as wide as its
    largest picture. Pixels of pictures are pixels of the figure.
    """
    scale = length / 256
    font, gap, head = 8.5 * scale, round(8 * scale), round(34 * scale)
    text = round(190 * scale) if any(line.caption for line in lines) else 0
    of = [[tile.image for tile in line.tiles if tile.image] for line in lines]
    heights = [max((image.height for image in images), default=length) for images in of]
    wide = max((image.width for images in of for image in images), default=length)
    wide = max(wide, round(0.6 * length))  # room for its heading
    canvas = Canvas(
        text + len(headings) * (wide + gap) + gap, head + sum(height + gap for height in heights)
    )
    for column, heading in enumerate(headings):
        label = textwrap.fill(heading, max(12, round(30 * wide / length)))
        middle = text + gap + column * (wide + gap) + wide / 2
        style = {"size": font * 1.1, "weight": "bold", "ha": "center", "va": "center"}
        canvas.text(middle, head / 2, label, **style)
    top = head
    for line, height in zip(lines, heights, strict=True):
        if line.caption:
            words = fonts.wrapped(line.caption, 24, round(150 * height / length))
            canvas.text(gap, top + height / 2, words, va="center", size=font, linespacing=1.4)
        for column, tile in enumerate(line.tiles):
            left = text + gap + column * (wide + gap)
            if tile.image is None:
                place = (left + wide / 2, top + height / 2)
                canvas.text(*place, "not run", ha="center", va="center", size=font, color=MUTED)
                continue
            across, down = (wide - tile.image.width) // 2, (height - tile.image.height) // 2
            canvas.picture(tile.image, left + across, top + down, _box(tile))
        top += height + gap
    return canvas.figure


def mosaic(
    parts: Sequence[tuple[str, Sequence[Tile]]], *, width: int = 1200, across: float = 3
) -> Figure:
    """Under each heading its tiles, in lines of `width` px about `across` squares wide.

    The pictures of a line have one height and fill it; notes stand below.
    """
    gap, head, font = 12, 34, 9
    sheet: list[tuple[str, list[tuple[Tile, int, int]], int]] = []
    for heading, tiles in parts:
        for number, line in enumerate(_lines(tiles, across)):
            room = width - gap * (len(line) - 1)
            aspects = [tile.image.width / tile.image.height for tile in line]
            height = round(min(room / sum(aspects), 1.25 * width / across))
            sized = [(t, round(height * a), height) for t, a in zip(line, aspects, strict=True)]
            notes = [_note(tile, wide, font) for tile, wide, _ in sized]
            below = max((note.count("\n") + 1 for note in notes if note), default=0) * 16
            sheet.append(("" if number else heading, sized, below))
    heights = [(head if h else 0) + sized[0][2] + below + gap for h, sized, below in sheet]
    canvas = Canvas(width + 2 * gap, sum(heights) + gap)
    top = gap
    for (heading, sized, _), height in zip(sheet, heights, strict=True):
        upper = top + (head if heading else 0)
        if heading:
            canvas.text(gap, top + head / 2, heading, va="center", size=11, weight="bold")
        left = gap
        for tile, wide, tall in sized:
            enlarged = tile.image.width * 2 <= wide  # pixels that are to be seen as such
            resampling = Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS
            canvas.picture(tile.image.resize((wide, tall), resampling), left, upper)
            if note := _note(tile, wide, font):
                canvas.text(left, upper + tall + 3, note, va="top", size=font, linespacing=1.3)
            left += wide + gap
        top += height
    return canvas.figure


def _lines(tiles: Sequence[Tile], across: float) -> list[list[Tile]]:
    """Tiles in lines that are about equally wide at one height."""
    aspects = [tile.image.width / tile.image.height for tile in tiles]
    count = max(1, round(sum(aspects) / across))
    lines: list[list[Tile]] = [[] for _ in range(count)]
    before = 0.0
    for tile, aspect in zip(tiles, aspects, strict=True):
        lines[min(int((before + aspect / 2) / sum(aspects) * count), count - 1)].append(tile)
        before += aspect
    return [line for line in lines if line]


def _note(tile: Tile, wide: int, font: float) -> str:
    """The note of a tile `wide` px wide, four lines at most."""
    across = max(8, int(wide / (0.8 * font)))
    parts = [fonts.wrapped(part, across, 4 * across - 8) for part in tile.note.split("\n")]
    return "\n".join(parts) if tile.note else ""


def _box(tile: Tile) -> tuple[float, float, float, float] | None:
    """Its frame in px of its image."""
    if not tile.frame:
        return None
    top, left, height, width = tile.frame
    tall, wide = tile.image.height, tile.image.width
    return top * tall, left * wide, height * tall, width * wide
