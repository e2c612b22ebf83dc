"""Values over values: what a later file says instead, and which numbers are the same."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any


def lay_over(config: dict[str, Any], layer: dict[str, Any]) -> None:
    """Put a layer's values over those of `config`, in place; mappings key by key, as Snakemake.

    What equals the value below it stays as that is written.
    """
    for key, value in layer.items():
        if isinstance(value, dict):
            below = config.setdefault(key, {})
            if not isinstance(below, dict):
                config[key] = below = {}
            lay_over(below, value)
        else:
            config[key] = spelled(value, [config[key]] if key in config else [])


def spelled(value: Any, known: Iterable[Any]) -> Any:
    """The value as the one of `known` that equals it is written, 1.0 for 1; else a copy of it.

    A job's flags are text: another spelling would run it again.
    """
    return next((other for other in known if equal(value, other)), deepcopy(value))


def equal(a: Any, b: Any) -> bool:
    """Whether two values are the same numbers, texts, lists; a truth is no number."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b and isinstance(a, bool) == isinstance(b, bool)
