"""Stable Diffusion 3 as released for Diffusion-4K: train_sd3_wavelet and its sampling script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diffusion4k.backbones import arithmetic, noise_levels
from diffusion4k.backbones.architecture import VAE, Architecture, Config
from diffusion4k.backbones.base import Backbone

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class SD3(Backbone):
    """Two CLIPs and T5 as text, logit-normal timesteps, classifier-free guidance."""

    name = "sd3"
    class_name = "StableDiffusion3Pipeline"
    transformer_class = "SD3Transformer2DModel"
    defaults = {"steps": 28, "guidance": 7.0, "t5_tokens": 256}
    # stabilityai/stable-diffusion-3-medium-diffusers
    architecture = Architecture(
        transformer={
            "sample_size": 128,
            "patch_size": 2,
            "in_channels": 16,
            "num_layers": 24,
            "num_attention_heads": 24,
            "attention_head_dim": 64,
            "joint_attention_dim": 4096,
            "caption_projection_dim": 1536,
            "pooled_projection_dim": 2048,
            "pos_embed_max_size": 192,
        },
        vae=VAE | {"scaling_factor": 1.5305, "shift_factor": 0.0609},
        clip_tokens=77,
        parameters=2_028_328_000,
        beside=5_600_000_000,  # two CLIPs, T5-XXL and the VAE, about
    )

    def encode_text(
        self, pipeline, prompts: list[str], t5_tokens: int, device
    ) -> list[dict[str, Tensor]]:
        """T = CLIP length + t5_tokens; pooled: both CLIPs, concatenated."""
        import torch

        with torch.no_grad():
            embeds, _, pooled, _ = pipeline.encode_prompt(
                prompt=prompts,
                prompt_2=None,
                prompt_3=None,
                device=device,
                do_classifier_free_guidance=False,
                max_sequence_length=t5_tokens,
            )
        return [{"prompt_embeds": e, "pooled": p} for e, p in zip(embeds, pooled, strict=True)]

    def sigmas(
        self, u: Tensor, *, image_tokens: int, shifted: bool, schedule_shift: float
    ) -> Tensor:
        """The 1000-step schedule shifted by `schedule_shift` (3.0), or by the image's tokens."""
        factor = noise_levels.dynamic_shift(image_tokens) if shifted else schedule_shift
        return noise_levels.shift_sigma(noise_levels.schedule(u), factor)

    def draw_u(self, generator: torch.Generator) -> float:
        """Logit-normal (0, 1), as in the SD3 paper."""
        import torch

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
            timestep=sigma * noise_levels.TRAIN_TIMESTEPS,
            encoder_hidden_states=prompt_embeds,
            pooled_projections=pooled,
            return_dict=False,
        )[0]

    def call_arguments(self, *, t5_tokens: int, negative_prompt: str) -> dict[str, Any]:
        """The released scripts leave the negative prompt empty."""
        return {"max_sequence_length": t5_tokens, "negative_prompt": negative_prompt}

    def predictions(self, guidance: float) -> int:
        """Classifier-free guidance takes a second one."""
        return 2 if guidance > 1 else 1

    def forward_flops(self, config: Config, *, image: int, text: int) -> int:
        """Joint blocks, the last of which drops the text; SD3 paper, figure 2.

        24 d^2 a token and layer, and attention over both streams, 4 (N + T)^2 d.
        """
        width, layers = arithmetic.width_of(config), config["num_layers"]
        pixels = config["in_channels"] * config["patch_size"] ** 2
        both = 24 * width**2  # q, k, v, out, and an MLP of four times the width
        blocks = layers * both * image + self.attention_flops(config, image=image, text=text)
        blocks += ((layers - 1) * both + 6 * width**2) * text
        # adaptive norms act once a picture: shift, scale and gate twice, for either stream
        blocks += 2 * width**2 * (layers * 6 + (layers - 1) * 6 + 2)
        ends = 2 * 2 * pixels * width * image + 2 * config["joint_attention_dim"] * width * text
        pooled = config["pooled_projection_dim"]
        return blocks + ends + arithmetic.conditioning(width, pooled, embeddings=1)

    def attention_flops(self, config: Config, *, image: int, text: int) -> int:
        """At 4096 px 64 % of a prediction."""
        width = arithmetic.width_of(config)
        return config["num_layers"] * arithmetic.attention(image + text, width)


BACKBONE = SD3()
