"""Encoded training sets."""

from diffusion4k.config.resolve import Config
from diffusion4k.dag import data, sources, vae
from diffusion4k.dag.paths import shards


def manifests(config: Config, backbone: str) -> list[str]:
    """All shards of the training set, encoded for a backbone."""
    return shards(config, f"latents/{backbone}/shard", config["latents"]["shards"])


def pipeline(config: Config, backbone: str) -> str:
    """The pipeline whose VAE and text encoders encode."""
    return sources.of_backbone(config, backbone)


def dataset(config: Config) -> str:
    """The data set that holds the split to train on."""
    return sources.of_split(config, config["latents"]["split"])


def check(config: Config) -> str:
    """The check of that split."""
    return data.checked(config, config["latents"]["split"])


def vae_of(config: Config, backbone: str) -> dict[str, str]:
    """The VAE that encodes in place of the pipeline's own, where its encoder is another one."""
    name = config["backbones"][backbone].get("vae")
    return {"vae": vae.manifest(config, name)} if name and vae.encodes(config, name) else {}


def flip(config: Config) -> str:
    """Which mirror images are stored: both where training flips, else none."""
    return "both" if config["train"]["flip_probability"] > 0 else "none"
