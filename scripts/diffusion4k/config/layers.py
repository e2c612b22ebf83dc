"""Values over values: which numbers are the same, and how they are written."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any


def respelled(own: Any, below: Sequence[Any]) -> Any:
    """A copy of `own`, each value as the lowest of `below` that equals it at its place writes it.

    A job's flags are text: 1 where 1.0 stood would run it again. below: from the lowest on, each a
    mapping of the same places, or what stands in its stead.
    """
    if not isinstance(own, dict):
        return spelled(own, below)
    mappings = [each for each in below if isinstance(each, dict)]
    return {
        key: respelled(value, [each[key] for each in mappings if key in each])
        for key, value in own.items()
    }


def spelled(value: Any, known: Iterable[Any]) -> Any:
    """The first of `known` that equals the value, 1.0 for 1; else the value; a copy."""
    return deepcopy(next((other for other in known if equal(value, other)), value))


def equal(a: Any, b: Any) -> bool:
    """Whether two values are the same numbers, texts, lists, mappings; a truth is no number."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return a == b and isinstance(a, bool) == isinstance(b, bool)
