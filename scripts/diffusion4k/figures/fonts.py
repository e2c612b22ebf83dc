"""Fonts for text that people wrote: prompts and labels, of any script, with any sign.

matplotlib brings DejaVu (Latin, Greek, Cyrillic, Hebrew, Arabic) and shapes it, right-to-left
too; for other scripts the fonts of the system are asked, such as Noto.
"""

import re
import sys
import textwrap
import unicodedata
import warnings
from functools import cache
from typing import Any

from matplotlib import font_manager

FIRST = "DejaVu Sans"
# it has every sign, as a box
LAST_RESORT = "Last Resort"
# said by `plain`, once a text
warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from font", category=UserWarning)


def plain(text: str) -> dict[str, Any]:
    """Arguments of a matplotlib text that is drawn as it is written: "$" is a dollar.

    Says on stderr which signs no font has; those are drawn as boxes.
    """
    families, lacking = choose(text)
    if lacking:
        signs = " ".join(sorted(lacking))
        print(f"no font here has {signs}: boxes are drawn; install Noto's fonts", file=sys.stderr)
    return {"parse_math": False, **({"family": families} if families[1:] else {})}


def choose(text: str) -> tuple[list[str], set[str]]:
    """(families to look in, in this order; the characters of `text` that none of them has)."""
    lacking = {sign for sign in text if not sign.isspace() and not _invisible(sign)}
    families = []
    for name, path in _system():
        if had := {sign for sign in lacking if ord(sign) in _signs(path)}:
            families.append(name)
            lacking -= had
        if not lacking:
            break
    return [FIRST, *(name for name in families if name != FIRST)], lacking


def wrapped(text: str, width: int, most: int) -> str:
    """`text` in lines of `width` columns, cut after `most`; ideographs take two columns."""
    if not any(_wide(sign) for sign in text):
        return textwrap.fill(textwrap.shorten(text, most, placeholder=" …"), width)
    lines, room = [""], most
    for part in re.findall(r"\s+|[^\s\u2e80-\U0010ffff]+|.", text):
        columns = sum(1 + _wide(sign) for sign in part)
        if columns > room:
            return "\n".join([*lines[:-1], lines[-1].rstrip() + " …"])
        room -= columns
        if lines[-1] and sum(1 + _wide(sign) for sign in lines[-1]) + columns > width:
            lines.append("")
        lines[-1] += part if lines[-1] or not part.isspace() else ""
    return "\n".join(line.rstrip() for line in lines)


def _wide(sign: str) -> bool:
    return unicodedata.east_asian_width(sign) in "WF"


def _invisible(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cf", "Mn")


@cache
def _system() -> list[tuple[str, str]]:
    """(family, its regular file): the first family, then Noto's, then the others by name."""
    files: dict[str, str] = {}
    upright = (font for font in font_manager.fontManager.ttflist if font.style == "normal")
    for font in sorted(upright, key=_distance):
        if not font.name.startswith(LAST_RESORT):
            files.setdefault(font.name, font.fname)
    return sorted(files.items(), key=lambda font: (font[0] != FIRST, font[0][:4] != "Noto", font))


def _distance(font: font_manager.FontEntry) -> tuple[int, str]:
    """How far from a regular weight, whose number is 400."""
    weight = font_manager.weight_dict.get(font.weight, font.weight)
    return abs(int(weight) - 400), font.fname


@cache
def _signs(path: str) -> frozenset[int]:
    """The code points that a font has; none of one that cannot be read, of bitmaps."""
    try:
        return frozenset(font_manager.get_font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
