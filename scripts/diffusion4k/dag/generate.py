"""Generated images: of which pipeline, in which shards; or somebody's own."""

import json
from pathlib import Path

from diffusion4k import images
from diffusion4k.config.resolve import Config
from diffusion4k.dag import code, sources
from diffusion4k.dag.paths import file, shards
from diffusion4k.dag.train import exported


def pipeline(config: Config, model: str) -> str:
    """A model's pipeline: one exported here, or a source as it is."""
    if model in exported(config):
        return file(config, f"train/{model}/pipeline.json")
    return sources.of_model(config, model)


def kernel(config: Config) -> str | None:
    """The manifest of FlashAttention 3, where it may be asked for."""
    if config["generate"]["attention"] == "native":
        return None
    return sources.manifest(config, "flash_attention_3")


def manifests(config: Config, model: str, evaluation: str) -> list[str]:
    """All shards of a model's images of an evaluation; `model` may be the pattern {model}."""
    stem = f"generate/{model}/{evaluation}/shard"
    return shards(config, stem, config["evaluations"][evaluation]["shards"])


def shard(config: Config, wildcards) -> str:
    """The shard of images that a job of these wildcards scores."""
    w = wildcards
    stem = f"generate/{w.model}/{w.evaluation}/shard"
    return file(config, f"{stem}-{w.shard}-of-{w.shards}.json")


def sampled(config: Config) -> list[str]:
    """The models whose images are drawn here."""
    return [name for name in config["models"] if name not in brought(config)]


def brought(config: Config) -> list[str]:
    """The models that are a folder of finished images."""
    return [name for name, model in config["models"].items() if "images" in model]


def dataset(config: Config, evaluation: str, model: str | None = None) -> str:
    """The data set of an evaluation's prompts and photographs; the prompts as a model has them."""
    captions = config["models"][model].get("captions") if model else None
    return sources.of_split(config, config["evaluations"][evaluation]["split"], captions)


def of_class(config: Config, model: str) -> str | None:
    """How SD3's and Flux's classes are sampled, for a pipeline whose class its files tell."""
    if "backbone" in config["models"][model]:
        return None
    return json.dumps({name: b["generate"] for name, b in config["backbones"].items()})


def keeps_png(score_input: str) -> bool:
    """Whether pictures are kept without loss too: where metrics score them as in memory."""
    return score_input == "memory"


def timed_model(config: Config, cost: str) -> str:
    """The model whose pictures an entry of `efficiency` times."""
    return config["efficiency"][cost]["model"]


def own_images(config: Config, model: str, evaluation: str) -> Path:
    """The folder with the finished images of one evaluation."""
    folder = Path(config["models"][model]["images"]).expanduser()
    own = folder / evaluation
    return own if own.is_dir() else folder


def own_files(config: Config, model: str, evaluation: str) -> str:
    """What changes with the images themselves.

    They are no inputs: Snakemake would stop at a missing one, before all can be listed.
    """
    return code.listing(own_images(config, model, evaluation), only=images.SUFFIXES)
