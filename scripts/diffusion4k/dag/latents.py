"""Encoded training sets."""

from diffusion4k.config.resolve import Config
from diffusion4k.dag import vae
from diffusion4k.dag.paths import shards


def manifests(config: Config, backbone: str) -> list[str]:
    """All shards of the training set, encoded for a backbone."""
    return shards(config, f"latents/{backbone}/shard", config["latents"]["shards"])


def vae_of(config: Config, backbone: str) -> dict[str, str]:
    """The VAE that encodes in place of the pipeline's own, where its encoder is another one."""
    name = config["backbones"][backbone].get("vae")
    return {"vae": vae.manifest(config, name)} if name and vae.encodes(config, name) else {}


def flip(config: Config) -> str:
    """Which mirror images are stored: both where training flips, else none."""
    return "both" if config["train"]["flip_probability"] > 0 else "none"
