"""Whether the trainer would take what the configuration says: its own objects are built from it.

So the trainer's rules stand in one place, diffusion4k/train; here is only which key of the
configuration a setting comes from.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

from diffusion4k import backbones, shape
from diffusion4k.errors import UserError
from diffusion4k.train.autoencoder_settings import AutoencoderSettings
from diffusion4k.train.bands import Bands, check_levels
from diffusion4k.train.settings import Settings

VAE_FACTOR = 16  # pixels a latent that is trained on, each way


def faults(config: dict[str, Any]) -> Iterator[str]:
    """One line for each mistake that a training would stop at, or not see."""
    latent = [side // VAE_FACTOR for side in shape.sides(config["latents"]["size"])]
    for name, recipe in config["recipes"].items():
        homes = {key: f"recipes.{name}.{key}" for key in recipe}
        yield from _fault(homes, lambda recipe=recipe: bands(recipe))
        yield from _fault(homes, lambda recipe=recipe: check_levels(recipe["levels"], *latent))
    for name, model in config["models"].items():
        backbone = config["backbones"].get(model.get("backbone"))
        if backbone and model.get("recipe") in config["recipes"]:
            homes = {field: key for field, (key, _) in _settings(config, name).items()}
            gpus = backbone["train"]["gpus"]
            yield from _fault(
                homes,
                lambda name=name, gpus=gpus: settings(config, name).accumulation(max(gpus, 1)),
            )
    yield from _vae_faults(config)
    yield from _eight_bit_faults(config)


def vae_settings(config: dict[str, Any], vae: str) -> AutoencoderSettings:
    """The recipe of a VAE that is trained, as its jobs get it from rules/vae.smk."""
    return AutoencoderSettings(**{f: value for f, (_, value) in _vae_settings(config, vae).items()})


def _vae_settings(config: dict[str, Any], vae: str) -> dict[str, tuple[str, Any]]:
    """Field of AutoencoderSettings -> the key that it comes from, and its value."""
    entry = config["vaes"][vae]
    sections = {
        f"vae_recipes.{entry['recipe']}.": config["vae_recipes"][entry["recipe"]],
        "vae_training.": config["vae_training"],
        "": config,
    }
    settings = {
        field.name: (prefix + field.name, section[field.name])
        for field in dataclasses.fields(AutoencoderSettings)
        for prefix, section in sections.items()
        if field.name in section
    }
    for form in ("encoder", "decoder"):
        key = f"vaes.{vae}.{form}" if form in entry else f"vae.{form}"
        settings[f"{form}_form"] = (key, entry.get(form, config["vae"][form]))
    return settings


def _vae_faults(config: dict[str, Any]) -> Iterator[str]:
    gpus = max(config["vae_training"]["gpus"], 1)
    for name, entry in config["vaes"].items():
        if entry.get("recipe") in config["vae_recipes"]:
            homes = {field: key for field, (key, _) in _vae_settings(config, name).items()}
            yield from _fault(
                homes, lambda name=name: vae_settings(config, name).accumulation(gpus)
            )


def for_backbone(config: dict[str, Any], backbone: str) -> dict[str, Any]:
    """How a backbone is trained: `train`, and what its own section says instead and besides."""
    return config["train"] | config["backbones"][backbone]["train"]


def settings(config: dict[str, Any], model: str) -> Settings:
    """The recipe of a model that is trained, as its jobs get it from rules/train.smk."""
    values = {field: value for field, (_, value) in _settings(config, model).items()}
    return Settings(**values | {"band_weights": tuple(values["band_weights"])})


def bands(recipe: dict[str, Any]) -> Bands:
    """The sub-bands of an entry of `recipes`."""
    return Bands(recipe["wavelet"], recipe["levels"], tuple(recipe["band_weights"]))


def _settings(config: dict[str, Any], model: str) -> dict[str, tuple[str, Any]]:
    """Field of Settings -> the key that it comes from, and its value."""
    entry = config["models"][model]
    backbone, recipe = entry["backbone"], entry["recipe"]
    sections = {
        f"models.{model}.": entry,
        f"recipes.{recipe}.": config["recipes"][recipe],
        f"backbones.{backbone}.train.": config["backbones"][backbone]["train"],
        "train.": config["train"],
        "": config,
    }
    return {
        field.name: next(
            (prefix + field.name, section[field.name])
            for prefix, section in sections.items()
            if field.name in section
        )
        for field in dataclasses.fields(Settings)
    }


def _fault(homes: dict[str, str], build: Callable[[], Any]) -> Iterator[str]:
    """What `build` refuses, `setting: what is wrong`, under the key that the setting comes from."""
    try:
        build()
    except UserError as error:
        setting, _, text = str(error).partition(": ")
        yield f"{homes[setting]}: {text}"


def _eight_bit_faults(config: dict[str, Any]) -> Iterator[str]:
    """What bitsandbytes gets wrong without a word.

    ZeRO hands it one tensor, whose length bitsandbytes passes on as a 32-bit integer.
    """
    for name in config["backbones"]:
        train = for_backbone(config, name)
        gpus, eight_bit = train["gpus"], train["optimizer"] == "adamw_8bit"
        if not eight_bit or train["offload_optimizer"] or not train["zero_stage"]:
            continue
        weights = backbones.get(name).architecture.parameters / max(gpus, 1)
        if weights >= 2**31:
            yield (
                f"backbones.{name}.train.gpus: adamw_8bit takes up to 2^31 weights at once, and"
                f" ZeRO would hand it {weights:.2g}; use more GPUs, or train.zero_stage: 0"
            )
