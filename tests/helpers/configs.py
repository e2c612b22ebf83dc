"""The workflow's configuration with a test's changes, and what is said of faulty ones."""

import copy
from pathlib import Path

import pytest
import yaml

from diffusion4k.config import resolve as config
from diffusion4k.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def load(*names: str) -> dict:
    merged: dict = {}
    for name in names:
        merge(merged, yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8")))
    return merged


def merge(base: dict, over: dict) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = copy.deepcopy(value)


def resolve(**changes) -> dict:
    raw = load("config.yaml")
    merge(raw, changes)
    return config.resolve(raw)


def fault(**changes) -> str:
    with pytest.raises(UserError) as raised:
        resolve(**changes)
    return str(raised.value)


def both(row: str) -> list[dict]:
    """The published configuration, and the one in which only `row` is corrected."""
    return [resolve(fidelity={row: choice}) for choice in ("published", "corrected")]
