"""Where a run's files are: results/<run>/<stage>/…, or those of a run that it reuses."""

import base64
import json
from collections.abc import Iterable
from pathlib import Path

from diffusion4k.config.resolve import Config

LIST = "reused.json"  # {"reused": names of the files that are another run's}, in results/<run>/
_REUSED: dict[str, frozenset[str]] = {}  # run => those names


def root(config: Config) -> str:
    """The folder of a run's results."""
    return f"results/{config['run']}"


def file(config: Config, name: str) -> str:
    """A file that jobs read, by its name below the run's folder; what is reused, where it is.

    What people read (tables, figures, claims, report) is always the run's own.
    """
    if "reuse" in config and name in reused(config["run"]):
        return f"results/{config['reuse']}/{name}"
    return f"{root(config)}/{name}"


def own(config: Config, path: str) -> str:
    """Where this run would make a file of the run that it reuses; of any other, the path itself."""
    other = f"results/{config.get('reuse')}/"
    return f"{root(config)}/{path.removeprefix(other)}" if path.startswith(other) else path


def record(path: str) -> Path:
    """Where Snakemake keeps how a file was made: params, code, inputs."""
    return Path(".snakemake/metadata", base64.b64encode(path.encode()).decode())


def shards(config: Config, stem: str, count: int) -> list[str]:
    """The manifests of all shards, <stem>-<i>-of-<count>.json; `stem` as the name in `file`."""
    return [file(config, f"{stem}-{shard}-of-{count}.json") for shard in range(count)]


def reused(run: str) -> frozenset[str]:
    """Names of the files that a run takes from another: as decided here, or when it started."""
    if run not in _REUSED:
        path = Path("results", run, LIST)
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"reused": ()}
        # once it was the list alone
        _REUSED[run] = frozenset(found if isinstance(found, list) else found["reused"])
    return _REUSED[run]


def reuse(run: str, names: Iterable[str]) -> None:
    """Let `run` take these files from the run that it reuses, in this process."""
    _REUSED[run] = frozenset(names)
