"""Differences between two models on the same prompts, with their uncertainty.

Both sets hold a row for each prompt. Rows are resampled together, prompt by prompt, because two
images of one prompt share what makes the prompt easy or hard: the interval of the difference is
far narrower than the intervals of the two means suggest. FID has no such interval and no
difference here.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from diffusion4k.errors import UserError
from diffusion4k.manifest import Manifest
from diffusion4k.metrics import aggregate, families


def compare(
    family: str,
    ours: Sequence[Manifest],
    other: Sequence[Manifest],
    *,
    expected: int,
    seed: int = 0,
) -> aggregate.Results:
    """{metric: {"value": ours - other, "n", "interval" (95 %)}} of one family's metrics.

    The value is the difference of the two aggregates exactly. UserError when the prompts differ.
    """
    columns = [_in_order(aggregate.rows(family, s, expected)) for s in (ours, other)]
    if not np.array_equal(columns[0]["id"], columns[1]["id"]):
        strangers = np.setxor1d(columns[0]["id"].astype(str), columns[1]["id"].astype(str))
        raise UserError(
            f"{ours[0].path} and {other[0].path}: not the same prompts"
            f" ({', '.join(strangers[:10])}); compare models on one evaluation"
        )
    results = {}
    for name, (statistic, names) in families.get(family).statistics(columns[0]).items():
        pair = [[c[n] for n in names] for c in columns]
        results[name] = _difference(statistic, *pair, seed=seed)
    return results


def _difference(
    statistic: Callable[..., float], ours: list, other: list, *, seed: int
) -> dict[str, Any]:
    k = len(ours)

    def difference(*columns: np.ndarray) -> float:
        return statistic(*columns[:k]) - statistic(*columns[k:])

    both = [*ours, *other]
    result = {"value": float(difference(*both)), "n": len(ours[0])}
    return result | aggregate.interval(difference, *both, seed=seed)


def _in_order(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    order = np.argsort(columns["id"].astype(str))
    return {name: values[order] for name, values in columns.items()}
