"""The chain of training segments, and the pipelines made of their ends."""

import hashlib
import json
from pathlib import Path

from diffusion4k.config.resolve import Config
from diffusion4k.dag import code, keys, resources, sources
from diffusion4k.dag.paths import file, root

CODE = "diffusion4k/train/trainer.py"  # whatever decides weights is reached from it


def trained(config: Config) -> list[str]:
    """The models that are trained here."""
    return [name for name, model in config["models"].items() if "recipe" in model]


def exported(config: Config) -> list[str]:
    """The models whose pipeline is composed here: fine-tuned, or of two sources."""
    models = config["models"].items()
    return [name for name, model in models if {"recipe", "transformer"} & set(model)]


def segments(config: Config) -> list[int]:
    """The last step of each segment."""
    steps, segment = config["train"]["steps"], config["train"]["segment"]
    return [*range(segment, steps, segment), steps]


def kept(config: Config) -> list[int]:
    """The segments whose state is kept: the last, and those that train.keep names."""
    train = config["train"]
    return [s for s in segments(config) if s == train["steps"] or s in train["keep"]]


def names(steps: list[int]) -> list[str]:
    """Steps as they stand in file names."""
    return [f"{step:06d}" for step in steps]


def step_file(config: Config, model: str, step: int) -> str:
    """The manifest of a segment's end."""
    return file(config, f"train/{model}/step-{step:06d}.json")


def last_step(config: Config, model: str) -> str:
    """The manifest of a training's end."""
    return step_file(config, model, segments(config)[-1])


def transformer(config: Config, model: str) -> str:
    """What export puts into a model's pipeline: the last step, or another source's."""
    other = config["models"][model].get("transformer")
    return sources.manifest(config, other) if other else last_step(config, model)


def start(config: Config, wildcards) -> dict[str, str]:
    """What a segment goes on from; the first segment starts from the pipeline itself.

    The state's folder is named beside its manifest, or Snakemake would take the temporary
    folder for unused and delete it.
    """
    before = [step for step in segments(config) if step < int(wildcards.step)]
    if not before:
        return {}
    manifest = step_file(config, wildcards.model, before[-1])
    return {"start": manifest, "state": manifest.removesuffix(".json")}


def dataset(config: Config) -> dict[str, str]:
    """The images, when training encodes them itself (latents.mode: online)."""
    if config["latents"]["mode"] == "precomputed":
        return {}
    return {"dataset": sources.of_split(config, config["latents"]["split"])}


def recipe(config: Config):
    """The flags that decide the weights, a function of the wildcards."""
    from functools import partial

    key = partial(keys.key, config)
    flags = keys.flags(
        config,
        backbone="{backbone}",
        objective=key("recipes.{recipe}.objective"),
        wavelet=key("recipes.{recipe}.wavelet"),
        levels=key("recipes.{recipe}.levels"),
        band_weights=key("recipes.{recipe}.band_weights"),
        guidance=key("backbones.{backbone}.train.guidance"),
        timestep_shift=key("backbones.{backbone}.train.timestep_shift"),
        subtract_shift=key("backbones.{backbone}.train.subtract_shift"),
        global_batch=key("backbones.{backbone}.train.global_batch"),
        repeat_draws_every=key("backbones.{backbone}.train.repeat_draws_every"),
        optimizer=key("train.optimizer"),
        learning_rate=key("train.learning_rate"),
        weight_decay=key("train.weight_decay"),
        beta1=key("train.beta1"),
        beta2=key("train.beta2"),
        epsilon=key("train.epsilon"),
        clip=key("train.clip"),
        warmup_steps=key("train.warmup_steps"),
        precision=key("train.precision"),
        flip_probability=key("train.flip_probability"),
        seed=key("seed"),
    )
    flags.keys += (("train.steps",),)  # the last segment's end, which names its file
    return flags


def time_limit(config: Config) -> float:
    """Minutes after which a segment saves and ends: its slot, less the time to start and save."""
    return resources.slot(config) - config["train"]["time_margin"]


def progress_folder(config: Config, wildcards) -> str:
    """Where a segment saves while it runs, named after all that decides its weights."""
    text = recipe(config)(wildcards) + code.of_job(config, CODE)(wildcards)
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return f"{root(config)}/train/{wildcards.model}/progress/{key}-{wildcards.step}"


def ended_slots(config: Config, wildcards) -> int:
    """How many of a segment's attempts ended as planned, saved (diffusion4k/progress.py)."""
    try:
        progress = Path(progress_folder(config, wildcards), "progress.json").read_text("utf-8")
        return json.loads(progress).get("slots", 0)
    except (OSError, ValueError):
        return 0
