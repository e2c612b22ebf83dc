"""The check of a split, what it holds, and its images under other captions."""

from pathlib import Path

from diffusion4k.config.endpoints import given
from diffusion4k.config.resolve import Config
from diffusion4k.dag import code, sources
from diffusion4k.dag.paths import file
from diffusion4k.endpoints import prompts


def checked(config: Config, split: str) -> str:
    """The manifest that says that a split's images are whole, and how large they are."""
    return file(config, f"data/{split}.json")


def dataset(config: Config, split: str) -> str:
    """The data set that holds a split."""
    return sources.of_split(config, split)


def photographs(config: Config, split: str) -> str:
    """The source of a split's images, with whatever captions lie there."""
    return sources.manifest(config, config["splits"][split]["source"])


def captioned(config: Config) -> list[str]:
    """The data sets of all splits that name captions of their own."""
    return [
        dataset(config, name) for name, split in config["splits"].items() if "captions" in split
    ]


def other_captions(config: Config) -> list[str]:
    """The entries of `captions` that can be had."""
    return [name for name, entry in config["captions"].items() if given(entry)]


def caption_code(config: Config, name: str) -> str:
    """Digest of the code of a job that captions, of the prompt it asks by and the captions given.

    Both by content and not as input: a touch must not train again.
    """
    entry = config["captions"][name]
    own = [Path(entry["path"]).expanduser()] if "path" in entry else []
    texts = [prompts.path("caption")] if "endpoint" in entry else []
    return code.of("caption.py", also=[*own, *texts])
