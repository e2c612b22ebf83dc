"""Notes below tables and figures: what several of them say is said once, and referred to."""

from collections.abc import Sequence

from diffusion4k.config.fidelity import ABOUT, DIFFERS
from diffusion4k.sources.miniature.notes import plumbing

# how lines begin that are read with their own table: its numbers in brackets, its n, what it is of
OWN = ("[", "Ours: ", ABOUT)


def shared(footers: Sequence[Sequence[str]], least: int = 2) -> list[str]:
    """The lines that at least `least` of the footers have, in the order they come up in.

    Not those of miniature and random inputs, which the page says at its top.
    """
    counts: dict[str, int] = {}
    for footer in footers:
        for line in dict.fromkeys(footer):
            if not line.startswith(OWN) and not plumbing(line):
                counts[line] = counts.get(line, 0) + 1
    return [line for line, count in counts.items() if count >= least]


def settings(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Of some lines those that list settings, which are long, and the others."""
    listed = [line for line in lines if line.startswith(DIFFERS)]
    return listed, [line for line in lines if line not in listed]


def split(footer: Sequence[str], common: Sequence[str]) -> tuple[list[str], list[int], bool]:
    """A footer's own lines; the numbers, from 1, of its common ones; whether inputs are miniature.

    Random ones count as miniature.
    """
    numbers = {line: number for number, line in enumerate(common, start=1)}
    own = [
        line
        for line in footer
        if line not in numbers and (line.startswith(ABOUT) or not plumbing(line))
    ]
    miniature = any(map(plumbing, footer))
    return own, sorted({numbers[line] for line in footer if line in numbers}), miniature
