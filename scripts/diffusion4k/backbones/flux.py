"""FLUX.1-dev as released for Diffusion-4K: train_flux_wavelet and its sampling script."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from torch import Tensor

from diffusion4k import backbones
from diffusion4k.errors import UserError
from diffusion4k.weights import SAFELY


class Flux:
    """T5 as text, CLIP pooled; uniform timesteps; distilled guidance; latents packed 2x2."""

    name = "flux"
    pipeline_class = FluxPipeline
    defaults: ClassVar = {"steps": 50, "guidance": 7.0, "t5_tokens": 512}
    multiple = 32  # a token is 2 x 2 latents of 16 px

    @torch.no_grad()
    def encode_text(
        self, pipeline, prompts: list[str], t5_tokens: int, device
    ) -> list[dict[str, Tensor]]:
        """T = t5_tokens; pooled: CLIP's."""
        embeds, pooled, _ = pipeline.encode_prompt(
            prompt=prompts, device=device, max_sequence_length=t5_tokens
        )
        return [{"prompt_embeds": e, "pooled": p} for e, p in zip(embeds, pooled, strict=True)]

    def load_transformer(self, root: Path, dtype: torch.dtype) -> torch.nn.Module:
        """The transformer of `root/transformer`."""
        return FluxTransformer2DModel.from_pretrained(
            root, subfolder="transformer", torch_dtype=dtype, **SAFELY
        )

    def normalise(self, z: Tensor, scaling: float, shift: float, *, subtract_shift: bool) -> Tensor:
        """As released, `subtract_shift` is true."""
        return backbones.normalise(z, scaling, shift, subtract_shift=subtract_shift)

    def sigmas(
        self, u: Tensor, *, image_tokens: int, shifted: bool, schedule_shift: float
    ) -> Tensor:
        """As released, unshifted (`schedule_shift` is not used); `shifted`: by image tokens."""
        sigma = backbones.schedule(u)
        if not shifted:
            return sigma
        return backbones.shift_sigma(sigma, backbones.dynamic_shift(image_tokens))

    def draw_u(self, generator: torch.Generator) -> float:
        """Uniform on [0, 1)."""
        return torch.rand((), generator=generator, device=generator.device).item()

    def velocity(
        self,
        transformer: torch.nn.Module,
        noisy: Tensor,
        sigma: Tensor,
        prompt_embeds: Tensor,
        pooled: Tensor,
        guidance: float,
    ) -> Tensor:
        """`guidance` conditions a guidance-distilled transformer and is ignored by others."""
        batch, channels, height, width = noisy.shape
        device, dtype = noisy.device, noisy.dtype
        packed = FluxPipeline._pack_latents(noisy.contiguous(), batch, channels, height, width)
        image_ids = FluxPipeline._prepare_latent_image_ids(
            batch, height // 2, width // 2, device, dtype
        )
        guided = backbones.config(transformer).guidance_embeds
        predicted = transformer(
            hidden_states=packed,
            timestep=sigma,
            guidance=torch.full((batch,), guidance, device=device) if guided else None,
            encoder_hidden_states=prompt_embeds,
            pooled_projections=pooled,
            txt_ids=torch.zeros(prompt_embeds.shape[1], 3, device=device, dtype=dtype),
            img_ids=image_ids,
            return_dict=False,
        )[0]
        return FluxPipeline._unpack_latents(predicted, height, width, vae_scale_factor=1)

    def call_arguments(self, *, t5_tokens: int, negative_prompt: str) -> dict[str, Any]:
        """UserError for a negative prompt, which a guidance-distilled model has no use for."""
        if negative_prompt:
            raise UserError("Flux takes no negative prompt; leave --negative-prompt out")
        return {"max_sequence_length": t5_tokens}
