"""Encoded training sets."""

from diffusion4k.config.resolve import Config
from diffusion4k.dag.paths import shards


def manifests(config: Config, backbone: str) -> list[str]:
    """All shards of the training set, encoded for a backbone."""
    return shards(config, f"latents/{backbone}/shard", config["latents"]["shards"])


def flip(config: Config) -> str:
    """Which mirror images are stored: both where training flips, else none."""
    return "both" if config["train"]["flip_probability"] > 0 else "none"
