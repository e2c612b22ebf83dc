"""Reconstructions by VAEs."""

from diffusion4k.config.resolve import Config
from diffusion4k.dag.paths import root, shards


def manifests(config: Config, vae: str) -> list[str]:
    """All shards of the images that a VAE reconstructs."""
    stem = f"{root(config)}/vae/{vae}/reconstruction"
    return shards(stem, config["reconstruction"]["shards"])


def count(config: Config) -> int:
    """How many images are reconstructed."""
    settings = config["reconstruction"]
    whole = config["splits"][settings["split"]]["count"]
    return min(whole, settings.get("images", whole))
