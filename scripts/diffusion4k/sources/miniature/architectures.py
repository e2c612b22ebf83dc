"""The miniature's networks: those of the backbones at a thousandth of the size.

A backbone need not have one: its source is then fetched or yours, and never made.
"""

import dataclasses

from diffusion4k.backbones.architecture import VAE as RELEASED_VAE
from diffusion4k.backbones.architecture import Architecture

CLIP_TOKENS = 20  # CLIP's length here; the true 77 would nearly double a training step's time
CLIP_WIDTH, T5_WIDTH = 32, 64
HEADS, HEAD_WIDTH = 2, 64

VAE = RELEASED_VAE | {
    "block_out_channels": (16, 16, 32, 32),
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "mid_block_add_attention": False,
}

MINIATURE = {
    "sd3": Architecture(
        transformer={
            "sample_size": 48,
            "patch_size": 2,
            "in_channels": 16,
            "num_layers": 2,
            "num_attention_heads": HEADS,
            "attention_head_dim": HEAD_WIDTH,
            "joint_attention_dim": T5_WIDTH,
            "caption_projection_dim": HEADS * HEAD_WIDTH,
            "pooled_projection_dim": 2 * CLIP_WIDTH,
            "pos_embed_max_size": 24,  # 768 px at F16
        },
        vae=VAE,
        clip_tokens=CLIP_TOKENS,
        parameters=1_105_216,
        beside=472_147,
    ),
    "flux": Architecture(
        transformer={
            "patch_size": 1,
            "in_channels": 64,
            "num_layers": 1,
            "num_single_layers": 1,
            "num_attention_heads": HEADS,
            "attention_head_dim": HEAD_WIDTH,
            "joint_attention_dim": T5_WIDTH,
            "pooled_projection_dim": CLIP_WIDTH,
            "guidance_embeds": True,
            "axes_dims_rope": (16, 24, 24),
        },
        vae=VAE,
        clip_tokens=0,
        parameters=1_018_688,
        beside=417_523,
    ),
}


def grown(name: str, growth: int) -> Architecture:
    """The miniature of a backbone with its transformer `growth` times as wide and as deep."""
    miniature = MINIATURE[name]
    times = {"num_layers", "num_single_layers", "num_attention_heads", "caption_projection_dim"}
    config = {k: v * growth if k in times else v for k, v in miniature.transformer.items()}
    # a block's weights grow by the square of its width
    parameters = miniature.parameters * growth**3
    return dataclasses.replace(miniature, transformer=config, parameters=parameters)
