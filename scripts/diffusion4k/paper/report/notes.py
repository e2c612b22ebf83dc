"""Notes below tables and figures: what several of them say is said once, and referred to."""

from collections.abc import Sequence


def shared(footers: Sequence[Sequence[str]], least: int = 2) -> list[str]:
    """The lines that at least `least` of the footers have, in the order they come up in."""
    counts: dict[str, int] = {}
    for footer in footers:
        for line in dict.fromkeys(footer):
            counts[line] = counts.get(line, 0) + 1
    return [line for line, count in counts.items() if count >= least]


def split(footer: Sequence[str], common: Sequence[str]) -> tuple[list[str], list[int]]:
    """A footer's own lines, and the numbers, from 1, of those that are among the common ones."""
    numbers = {line: number for number, line in enumerate(common, start=1)}
    own = [line for line in footer if line not in numbers]
    return own, sorted({numbers[line] for line in footer if line in numbers})
