"""The check of a split, and its images under other captions."""

from pathlib import Path

from diffusion4k.config.endpoints import given
from diffusion4k.config.resolve import Config
from diffusion4k.dag import code, sources
from diffusion4k.dag.paths import root
from diffusion4k.endpoints import prompts


def checked(config: Config, split: str) -> str:
    """The manifest that says that a split's images are whole, and how large they are."""
    return f"{root(config)}/data/{split}.json"


def captions(config: Config) -> list[str]:
    """The captions that can be had."""
    return [name for name, entry in config["captions"].items() if given(entry)]


def recaptioned(config: Config) -> list[str]:
    """The data sets of all splits that name captions of their own."""
    names = (name for name, split in config["splits"].items() if "captions" in split)
    return [sources.of_split(config, name) for name in names]


def caption_code(config: Config, captions: str) -> str:
    """Digest of the code of a job that captions, of the prompt it asks by and the captions given.

    Both by content and not as input: a touch must not train again.
    """
    entry = config["captions"][captions]
    own = [Path(entry["path"]).expanduser()] if "path" in entry else []
    asked = [prompts.path("caption")] if "endpoint" in entry else []
    return code.of("caption.py", also=[*own, *asked])
