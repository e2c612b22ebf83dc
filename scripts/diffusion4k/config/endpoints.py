"""What is wrong with captions and judge, and with who names them: one line a fault."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffusion4k.config.relations import unknown

Config = dict[str, Any]


def given(captions: Config) -> bool:
    """Whether an entry of `captions` can be had: it has a file, or a model that writes them."""
    return bool({"path", "endpoint"} & set(captions))


def faults(config: Config) -> Iterator[str]:
    """One line for each mistake."""
    for name, entry in config["captions"].items():
        if "endpoint" in entry:
            key = f"captions.{name}.endpoint"
            yield from unknown(config, key, entry["endpoint"], "endpoints")
        if "path" in entry and not Path(entry["path"]).expanduser().is_file():
            yield f"captions.{name}.path: {entry['path']} does not exist"
    for section in ("splits", "models"):
        for name, entry in config[section].items():
            if "captions" in entry:
                yield from unknown(
                    config, f"{section}.{name}.captions", entry["captions"], "captions"
                )
    lacking = {name for name, entry in config["captions"].items() if not given(entry)}
    for name, split in config["splits"].items():
        if split.get("captions") in lacking:
            yield _lacks(f"splits.{name}.captions", split["captions"])
    for name, figure in config["figures"].items():
        for row in figure["rows"]:
            if (of := config["models"].get(row, {}).get("captions")) in lacking:
                yield _lacks(f"figures.{name}.rows: {row}", of)
    if "judge" in config:
        yield from unknown(config, "judge.endpoint", config["judge"]["endpoint"], "endpoints")


def _lacks(key: str, captions: str) -> str:
    return f"{key}: captions.{captions} has neither path nor endpoint"
