"""What the Hugging Face hub's client will find in this environment, without importing it."""

import os
from pathlib import Path


def token_is_set() -> bool:
    """Whether a Hugging Face token is set or stored, by the hub's own rules; never its value."""
    stored = os.environ.get("HF_TOKEN_PATH")
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    return (
        bool(os.environ.get("HF_TOKEN")) or Path(stored or f"{home}/token").expanduser().is_file()
    )


def offline() -> bool:
    """Whether the hub's client is told to stay offline, and takes what its cache holds."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")
