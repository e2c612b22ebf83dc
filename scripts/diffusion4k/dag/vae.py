"""Reconstructions by VAEs."""

from diffusion4k.config.resolve import Config
from diffusion4k.dag.paths import shards


def manifests(config: Config, vae: str) -> list[str]:
    """All shards of the images that a VAE reconstructs."""
    return shards(config, f"vae/{vae}/reconstruction", config["reconstruction"]["shards"])


def count(config: Config) -> int:
    """How many images are reconstructed."""
    settings = config["reconstruction"]
    whole = config["splits"][settings["split"]]["count"]
    return min(whole, settings.get("images", whole))
