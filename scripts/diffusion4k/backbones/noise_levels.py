"""Noise levels of rectified flows: the schedule of 1000 steps, and how it is shifted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

TRAIN_TIMESTEPS = 1000  # of diffusers' flow-matching scheduler


def schedule(u: Tensor) -> Tensor:
    """Entry floor(1000 u) of the unshifted schedule 1, 0.999, ..., 0.001; (B,) float32."""
    index = (u.double() * TRAIN_TIMESTEPS).long().clamp(0, TRAIN_TIMESTEPS - 1)
    return (TRAIN_TIMESTEPS - index).float() / TRAIN_TIMESTEPS


def shift_sigma(sigma: Tensor, factor: float) -> Tensor:
    """Move noise levels up: factor * sigma / (1 + (factor - 1) * sigma); 1 stays 1."""
    return factor * sigma / (1 + (factor - 1) * sigma)


def dynamic_shift(image_tokens: int) -> float:
    """The factor that Flux samples with: e^mu, mu linear in tokens, not clamped.

    Through (256, 0.5) and (4096, 1.15): 3.16 at 2048 px, 25.3 at 4096 px.
    """
    return math.exp(0.5 + (image_tokens - 256) * (1.15 - 0.5) / (4096 - 256))
