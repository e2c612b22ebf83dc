"""Nothing that is not a number goes on: not into a picture, a latent, a feature or a score."""

from typing import Any

import numpy as np

from diffusion4k.errors import UserError


def check(what: str, *values: Any) -> None:
    """UserError when `what`, tensors or arrays of any shape, holds a NaN or an infinity."""
    for value in values:
        whole = value.isfinite() if hasattr(value, "isfinite") else np.isfinite(value)
        if not whole.all():
            raise UserError(refusal(what))


def refusal(what: str) -> str:
    """What is said of it."""
    return (
        f"{what}: holds values that are no numbers (NaN or infinite); are the weights whole, or has"
        " their training diverged? If not, the precision is too small: try dtype float32"
    )
