"""Which items a shard holds, and which a part that stands for the whole."""

from collections.abc import Sequence
from typing import Any

from diffusion4k.errors import UserError


def shard(items: Sequence[Any], index: int, count: int) -> list[Any]:
    """The `index`-th of `count` contiguous, near-equal slices; together they are `items`."""
    if count < 1 or not 0 <= index < count:
        raise UserError(f"shard {index} of {count} does not exist; count from 0 to {count - 1}")
    return list(items[len(items) * index // count : len(items) * (index + 1) // count])


def spread(items: Sequence[Any], count: int | None) -> list[Any]:
    """`count` items at even distances, so that a part stands for the whole; None: all of them."""
    if count is None or count >= len(items):
        return list(items)
    return [items[len(items) * index // count] for index in range(count)]
