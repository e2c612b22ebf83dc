"""Sources: where the manifest of each is, what a gated one asks of its user."""

from pathlib import Path

from diffusion4k.config.resolve import Config, origin
from diffusion4k.dag import code
from diffusion4k.dag.paths import root


def manifest(config: Config, source: str) -> str:
    """The manifest of a source."""
    return f"{root(config)}/sources/{source}.json"


def of_split(config: Config, split: str, captions: str | None = None) -> str:
    """The data set that holds a split: its source, or that under other captions, if it has such.

    `captions`: one of `captions` in place of the split's own.
    """
    if other := captions or config["splits"][split].get("captions"):
        return recaptioned(config, other, split)
    return manifest(config, config["splits"][split]["source"])


def recaptioned(config: Config, captions: str, split: str) -> str:
    """The data set of a split's images under other captions."""
    return f"{root(config)}/captions/{captions}/{split}.json"


def of_backbone(config: Config, backbone: str) -> str:
    """A backbone's own pipeline."""
    return manifest(config, config["backbones"][backbone]["source"])


def of_model(config: Config, model: str) -> str:
    """The pipeline that a model is, or is made from."""
    entry = config["models"][model]
    if "source" in entry:
        return manifest(config, entry["source"])
    return of_backbone(config, entry["backbone"])


def built(config: Config) -> list[str]:
    """The sources that are made here, the miniature's."""
    return [name for name, source in config["sources"].items() if origin(source) == "make"]


def fetched(config: Config) -> list[str]:
    """The sources that come from the hub, an address, or a path."""
    return [name for name, source in config["sources"].items() if origin(source) != "make"]


def licence(config: Config, source: str) -> str:
    """What a gated source asks of its user, in one line; empty for an open one."""
    entry = config["sources"][source]
    if not entry.get("gated"):
        return ""
    return (
        f"source {source}: {entry['hub']} is gated; accept its licence at"
        f" https://huggingface.co/{entry['hub']} and set HF_TOKEN,"
        f" or give sources.{source}.path"
    )


def own_files(config: Config, source: str) -> str:
    """What changes with a user's pipeline, the source of a model: its folder's listing."""
    path = config["sources"][source].get("path")
    own = source.startswith("model_")
    return code.listing(Path(path).expanduser()) if own and path else ""
