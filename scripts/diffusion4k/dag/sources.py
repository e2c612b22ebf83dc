"""Sources: where the manifest of each is, what a gated one asks of its user."""

from pathlib import Path

from diffusion4k.config.resolve import Config, origin
from diffusion4k.dag import code, data
from diffusion4k.dag.paths import file


def manifest(config: Config, source: str) -> str:
    """The manifest of a source."""
    return file(config, f"sources/{source}.json")


def of_split(config: Config, split: str, captions: str | None = None) -> str:
    """The data set that holds a split: its source, or that under other captions, if it has such.

    `captions`: one of `captions` in place of the split's own.
    """
    if other := captions or config["splits"][split].get("captions"):
        return recaptioned(config, other, split)
    return manifest(config, config["splits"][split]["source"])


def recaptioned(config: Config, captions: str, split: str) -> str:
    """The data set of a split's images under other captions."""
    return file(config, f"captions/{captions}/{split}.json")


def of_captioned_splits(config: Config) -> list[str]:
    """The data sets of all splits that name captions of their own."""
    names = (name for name, split in config["splits"].items() if "captions" in split)
    return [of_split(config, name) for name in names]


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
    """What a source asks of its user, in one line; empty for one that is open."""
    entry = config["sources"][source]
    if origin(entry) == "by_hand":
        return (
            f"source {source}: no program may fetch it; accept its licence and download it at"
            f" {entry['by_hand']}, then give sources.{source}.path"
        )
    if not entry.get("gated"):
        return ""
    return (
        f"source {source}: {entry['hub']} is gated; accept its licence at"
        f" https://huggingface.co/{entry['hub']} and set HF_TOKEN,"
        f" or give sources.{source}.path"
    )


def own_files(config: Config, source: str) -> str:
    """What changes with the files of a source that is the user's, so that they are listed anew.

    Of a model's pipeline names, sizes and times. Trainings may depend on everything else, and a
    touch must not train again: of data sets the captions and the sizes of images, in the splits'
    folders alone, without captions also below them; of the rest names, sizes and links' ends.
    """
    path = config["sources"][source].get("path")
    if not path:
        return ""
    root = Path(path).expanduser()
    if source.startswith("model_"):
        return code.listing(root)
    splits = [
        (split["folder"], split.get("captioned", True))
        for split in config["splits"].values()
        if split["source"] == source
    ]
    return data.content(root, splits) if splits else code.listing(root, times=False)
