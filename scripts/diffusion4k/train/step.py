"""What one training step computes, from a batch to the objective, as a pure function."""

import torch
from torch import Tensor

from diffusion4k.train.objectives import OBJECTIVES, Bands, Loss
from diffusion4k.train.samples import Header
from diffusion4k.train.settings import Settings


def loss(
    backbone,
    transformer: torch.nn.Module,
    batch: dict[str, Tensor],
    settings: Settings,
    header: Header,
    schedule_shift: float,
    dtype: torch.dtype,
) -> Loss:
    """The objective on a micro-batch, a scalar with gradient, and its sub-bands' shares.

    batch: z and noise (B, 16, h, w) float32, u (B,), prompt_embeds (B, T, D), pooled (B, P), all on
    the transformer's device. z is raw, as the VAE's posterior gives it. In fp32,
    x_t = (1 - sigma) x0 + sigma noise; the transformer sees it in `dtype`. `schedule_shift` is the
    scheduler's (SD3 3.0).
    """
    noise = batch["noise"]
    x0 = backbone.normalise(
        batch["z"], header.scaling, header.shift, subtract_shift=settings.subtract_shift
    )
    sigma = backbone.sigmas(
        batch["u"],
        image_tokens=(header.height // 2) * (header.width // 2),
        shifted=settings.timestep_shift == "dynamic",
        schedule_shift=schedule_shift,
    )
    level = sigma.view(-1, 1, 1, 1)
    noisy = (1 - level) * x0 + level * noise
    text = (batch[name].to(dtype) for name in ("prompt_embeds", "pooled"))
    v = backbone.velocity(transformer, noisy.to(dtype), sigma, *text, settings.guidance)
    bands = Bands(settings.wavelet, settings.levels, settings.band_weights)
    return OBJECTIVES[settings.objective](v, x0, noise, sigma, bands)
