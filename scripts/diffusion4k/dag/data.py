"""The check of a split."""

from diffusion4k.config.resolve import Config
from diffusion4k.dag.paths import file


def checked(config: Config, split: str) -> str:
    """The manifest that says that a split's images are whole, and how large they are."""
    return file(config, f"data/{split}.json")
