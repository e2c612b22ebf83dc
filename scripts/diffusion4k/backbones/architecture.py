"""How a network is described: the config.json of its repository, in diffusers' words.

Enough to build it at its full size with random weights, and to count its arithmetic
(estimate/flops.py), without its gated repository.
"""

from dataclasses import dataclass
from typing import Any

Config = dict[str, Any]


@dataclass(frozen=True)
class Architecture:
    """The networks of one latent diffusion pipeline.

    `clip_tokens` stand before T5's in the transformer's text (0: T5's only); `parameters` are the
    transformer's, `beside` those of text encoders and VAE.
    """

    transformer: Config
    vae: Config
    clip_tokens: int
    parameters: int
    beside: int


# vae/ of SD3 and Flux; they differ in scaling_factor and shift_factor only. 83.8 M parameters
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
