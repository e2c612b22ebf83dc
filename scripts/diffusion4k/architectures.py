"""The released networks as their repositories' config.json describes them, in diffusers' words.

Enough to build each at its full size with random weights, and to count its arithmetic
(flops.py), without its gated repository.
"""

from dataclasses import dataclass
from typing import Any

Config = dict[str, Any]


@dataclass(frozen=True)
class Architecture:
    """The networks of one latent diffusion pipeline.

    `clip_tokens` stand before T5's in the transformer's text (0: T5's only); `parameters` are the
    transformer's.
    """

    transformer: Config
    vae: Config
    clip_tokens: int
    parameters: int


# vae/ of both; they differ in scaling_factor and shift_factor only. 83.8 M parameters
VAE: Config = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 16,
    "norm_num_groups": 32,
    "mid_block_add_attention": True,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
    "sample_size": 1024,
}

RELEASED = {
    # stabilityai/stable-diffusion-3-medium-diffusers
    "sd3": Architecture(
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
    ),
    # black-forest-labs/FLUX.1-dev
    "flux": Architecture(
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
    ),
}
