"""Stable Diffusion 3 as released for Diffusion-4K: train_sd3_wavelet and its sampling script."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline
from torch import Tensor

from diffusion4k import backbones
from diffusion4k.weights import SAFELY


class SD3:
    """Two CLIPs and T5 as text, logit-normal timesteps, classifier-free guidance."""

    name = "sd3"
    pipeline_class = StableDiffusion3Pipeline
    defaults: ClassVar = {"steps": 28, "guidance": 7.0, "t5_tokens": 256}
    multiple = 32  # a token is 2 x 2 latents of 16 px

    @torch.no_grad()
    def encode_text(
        self, pipeline, prompts: list[str], t5_tokens: int, device
    ) -> list[dict[str, Tensor]]:
        """T = CLIP length + t5_tokens; pooled: both CLIPs, concatenated."""
        embeds, _, pooled, _ = pipeline.encode_prompt(
            prompt=prompts,
            prompt_2=None,
            prompt_3=None,
            device=device,
            do_classifier_free_guidance=False,
            max_sequence_length=t5_tokens,
        )
        return [{"prompt_embeds": e, "pooled": p} for e, p in zip(embeds, pooled, strict=True)]

    def load_transformer(self, root: Path, dtype: torch.dtype) -> torch.nn.Module:
        """The transformer of `root/transformer`."""
        return SD3Transformer2DModel.from_pretrained(
            root, subfolder="transformer", torch_dtype=dtype, **SAFELY
        )

    def normalise(self, z: Tensor, scaling: float, shift: float, *, subtract_shift: bool) -> Tensor:
        """As released, `subtract_shift` is false in training, though decoding adds the shift."""
        return backbones.normalise(z, scaling, shift, subtract_shift=subtract_shift)

    def sigmas(
        self, u: Tensor, *, image_tokens: int, shifted: bool, schedule_shift: float
    ) -> Tensor:
        """The 1000-step schedule shifted by `schedule_shift` (3.0), or by the image's tokens."""
        factor = backbones.dynamic_shift(image_tokens) if shifted else schedule_shift
        return backbones.shift_sigma(backbones.schedule(u), factor)

    def draw_u(self, generator: torch.Generator) -> float:
        """Logit-normal (0, 1), as in the SD3 paper."""
        return torch.randn((), generator=generator, device=generator.device).sigmoid().item()

    def velocity(
        self,
        transformer: torch.nn.Module,
        noisy: Tensor,
        sigma: Tensor,
        prompt_embeds: Tensor,
        pooled: Tensor,
        guidance: float,
    ) -> Tensor:
        """`guidance` is not used: SD3 is guided when sampling, by a second prediction."""
        return transformer(
            hidden_states=noisy,
            timestep=sigma * backbones.TRAIN_TIMESTEPS,
            encoder_hidden_states=prompt_embeds,
            pooled_projections=pooled,
            return_dict=False,
        )[0]

    def call_arguments(self, *, t5_tokens: int, negative_prompt: str) -> dict[str, Any]:
        """The released scripts leave the negative prompt empty."""
        return {"max_sequence_length": t5_tokens, "negative_prompt": negative_prompt}
