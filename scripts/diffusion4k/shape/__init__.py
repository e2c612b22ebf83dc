"""The size of a picture in px: one number for the side of a square, else (height, width)."""

import argparse
import re
from collections.abc import Sequence

Shape = tuple[int, int]  # height, width
Size = int | Sequence[int]


def sides(size: Size) -> Shape:
    """(height, width) of a size."""
    height, width = (size, size) if isinstance(size, int) else size
    return height, width


def height(size: Size) -> int:
    """In px."""
    return sides(size)[0]


def width(size: Size) -> int:
    """In px."""
    return sides(size)[1]


def text(size: Size) -> str:
    """`4096` of a square, else `3072x4096`, height x width; what the flag --size takes."""
    rows, columns = sides(size)
    return str(rows) if rows == columns else f"{rows}x{columns}"


def parse(text: str) -> Size:
    """A size from `text`; argparse's error, so as a flag's type, for what is none."""
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    numbers = [int(number) for number in match.groups() if number] if match else [0]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{text}: should be PX or HEIGHTxWIDTH, as 3072x4096")
    return simple(numbers)


def simple(numbers: Sequence[int]) -> Size:
    """One or two sides as a size: of a square, and of one alone, a number, else a tuple."""
    return numbers[0] if len(set(numbers)) == 1 else (numbers[0], numbers[1])
