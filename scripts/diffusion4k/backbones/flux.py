"""FLUX.1-dev as released for Diffusion-4K: train_flux_wavelet and its sampling script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffusion4k.backbones import arithmetic, noise_levels
from diffusion4k.backbones.architecture import VAE, Architecture, Config
from diffusion4k.backbones.base import Backbone
from diffusion4k.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Flux(Backbone):
    """T5 as text, CLIP pooled; uniform timesteps; distilled guidance; latents packed 2x2."""

    name = "flux"
    class_name = "FluxPipeline"
    transformer_class = "FluxTransformer2DModel"
    defaults = {"steps": 50, "guidance": 7.0, "t5_tokens": 512}
    # black-forest-labs/FLUX.1-dev
    architecture = Architecture(
        transformer={
            "patch_size": 1,
            "in_channels": 64,
            "num_layers": 19,
            "num_single_layers": 38,
            "num_attention_heads": 24,
            "attention_head_dim": 128,
            "joint_attention_dim": 4096,
            "pooled_projection_dim": 768,
            "guidance_embeds": True,
            "axes_dims_rope": (16, 56, 56),
        },
        vae=VAE | {"scaling_factor": 0.3611, "shift_factor": 0.1159},
        clip_tokens=0,
        parameters=11_901_408_320,
        beside=5_000_000_000,  # CLIP, T5-XXL and the VAE, about
    )

    def encode_text(
        self, pipeline, prompts: list[str], t5_tokens: int, device
    ) -> list[dict[str, Tensor]]:
        """T = t5_tokens; pooled: CLIP's."""
        import torch

        with torch.no_grad():
            embeds, pooled, _ = pipeline.encode_prompt(
                prompt=prompts, device=device, max_sequence_length=t5_tokens
            )
        return [{"prompt_embeds": e, "pooled": p} for e, p in zip(embeds, pooled, strict=True)]

    def sigmas(
        self, u: Tensor, *, image_tokens: int, shifted: bool, schedule_shift: float
    ) -> Tensor:
        """As released, unshifted (`schedule_shift` is not used); `shifted`: by image tokens."""
        sigma = noise_levels.schedule(u)
        if not shifted:
            return sigma
        return noise_levels.shift_sigma(sigma, noise_levels.dynamic_shift(image_tokens))

    def draw_u(self, generator: torch.Generator) -> float:
        """Uniform on [0, 1)."""
        import torch

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
        import torch
        from diffusers import FluxPipeline

        batch, channels, height, width = noisy.shape
        device, dtype = noisy.device, noisy.dtype
        packed = FluxPipeline._pack_latents(noisy.contiguous(), batch, channels, height, width)
        image_ids = FluxPipeline._prepare_latent_image_ids(
            batch, height // 2, width // 2, device, dtype
        )
        # of the transformer itself, which DDP or DeepSpeed may have wrapped
        guided = getattr(transformer, "module", transformer).config.guidance_embeds
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

    def predictions(self, guidance: float) -> int:
        """One: guidance is distilled, a number that the transformer is given."""
        return 1

    def forward_flops(self, config: Config, *, image: int, text: int) -> int:
        """Double, then single blocks, 24 d^2 S + 4 S^2 d each, S = N + T."""
        width = arithmetic.width_of(config)
        double, single = config["num_layers"], config["num_single_layers"]
        blocks = (double + single) * 24 * width**2 * (image + text)
        blocks += self.attention_flops(config, image=image, text=text)
        blocks += 2 * width**2 * (double * 12 + single * 3)
        ends = 2 * 2 * config["in_channels"] * width * image
        ends += 2 * config["joint_attention_dim"] * width * text
        embeddings, pooled = (
            1 + bool(config.get("guidance_embeds")),
            config["pooled_projection_dim"],
        )
        return blocks + ends + arithmetic.conditioning(width, pooled, embeddings)

    def attention_flops(self, config: Config, *, image: int, text: int) -> int:
        """At 4096 px 47 % of a prediction."""
        layers = config["num_layers"] + config["num_single_layers"]
        return layers * arithmetic.attention(image + text, arithmetic.width_of(config))


BACKBONE = Flux()
