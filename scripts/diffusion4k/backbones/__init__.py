"""The latent diffusion models, behind one protocol: the trainer and the sampler know no name.

A backbone is what differs between SD3 and Flux: text conditioning, timestep law, latent
normalisation, packing. A third one is one new module and one line in `get`. Pipelines that are only
sampled need none: stock.py takes them as they are.
"""

import math
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from diffusion4k.errors import UserError

NAMES = ("sd3", "flux")  # those that train
STOCK = "stock"  # every other pipeline, which is only sampled
TRAIN_TIMESTEPS = 1000  # of both schedulers


class Sampled(Protocol):
    """What the sampler asks of a kind of pipeline."""

    name: str
    pipeline_class: type  # the diffusers pipeline
    # those of steps, guidance, t5_tokens that the pipeline takes, with their values by default
    defaults: dict[str, float | int]
    multiple: int  # what a picture's sides must be multiples of, px

    def call_arguments(self, *, t5_tokens: int, negative_prompt: str) -> dict[str, Any]:
        """The keyword arguments of the pipeline's call that differ between pipelines."""


class Backbone(Sampled, Protocol):
    """What the trainer asks too. B: batch, h, w: latent size, T: text tokens, D, P: widths."""

    def encode_text(
        self, pipeline, prompts: list[str], t5_tokens: int, device
    ) -> list[dict[str, Tensor]]:
        """One {"prompt_embeds": (T, D), "pooled": (P,)} a prompt, in the encoders' dtype.

        Equals the pipeline's own `encode_prompt` with `t5_tokens` as its maximum sequence length;
        the pipeline may have been loaded without its transformer.
        """

    def load_transformer(self, root: Path, dtype: torch.dtype) -> torch.nn.Module:
        """The transformer of `root/transformer`, a diffusers folder."""

    def normalise(self, z: Tensor, scaling: float, shift: float, *, subtract_shift: bool) -> Tensor:
        """Raw VAE latents => what the transformer is trained on, same shape."""

    def sigmas(
        self, u: Tensor, *, image_tokens: int, shifted: bool, schedule_shift: float
    ) -> Tensor:
        """Draws u (B,) in [0, 1) => noise levels sigma (B,) in (0, 1], float32.

        `shifted`: the shift depends on `image_tokens`, the transformer's tokens an image, as it
        does when Flux samples.
        """

    def draw_u(self, generator: torch.Generator) -> float:
        """One draw of the timestep law, in [0, 1]."""

    def velocity(
        self,
        transformer: torch.nn.Module,
        noisy: Tensor,
        sigma: Tensor,
        prompt_embeds: Tensor,
        pooled: Tensor,
        guidance: float,
    ) -> Tensor:
        """The predicted velocity, noise minus latent, (B, 16, h, w).

        noisy (B, 16, h, w) = (1 - sigma) latent + sigma noise, sigma (B,), prompt_embeds
        (B, T, D), pooled (B, P). `transformer` may be wrapped by DDP or DeepSpeed.
        """


def get(name: str) -> Backbone:
    """The backbone of that name; UserError for an unknown one."""
    if name == "sd3":
        from diffusion4k.backbones.sd3 import SD3

        return SD3()
    if name == "flux":
        from diffusion4k.backbones.flux import Flux

        return Flux()
    raise UserError(f"no backbone {name!r}; choose from {', '.join(NAMES)}")


def others(name: str) -> tuple[str, ...]:
    """Modules that a job of backbone `name` can reach but never uses."""
    return tuple(f"{__name__}.{other}" for other in (*NAMES, STOCK) if other != name)


def normalise(z: Tensor, scaling: float, shift: float, *, subtract_shift: bool) -> Tensor:
    """(z - shift) * scaling, or z * scaling: as released, SD3's training leaves the shift in."""
    return (z - shift) * scaling if subtract_shift else z * scaling


def schedule(u: Tensor) -> Tensor:
    """Entry floor(1000 u) of the unshifted schedule 1, 0.999, ..., 0.001; (B,) float32."""
    index = (u.double() * TRAIN_TIMESTEPS).long().clamp(0, TRAIN_TIMESTEPS - 1)
    return (TRAIN_TIMESTEPS - index).to(torch.float32) / TRAIN_TIMESTEPS


def shift_sigma(sigma: Tensor, factor: float) -> Tensor:
    """Move noise levels up: factor * sigma / (1 + (factor - 1) * sigma); 1 stays 1."""
    return factor * sigma / (1 + (factor - 1) * sigma)


def dynamic_shift(image_tokens: int) -> float:
    """The factor that Flux samples with: e^mu, mu linear in tokens, not clamped.

    Through (256, 0.5) and (4096, 1.15): 3.16 at 2048 px, 25.3 at 4096 px.
    """
    return math.exp(0.5 + (image_tokens - 256) * (1.15 - 0.5) / (4096 - 256))


def config(transformer: torch.nn.Module):
    """The diffusers config of a transformer that DDP or DeepSpeed may have wrapped."""
    return getattr(transformer, "module", transformer).config
