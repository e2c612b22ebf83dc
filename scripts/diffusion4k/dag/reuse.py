"""A run beside a run: what that of `reuse:` has finished, and this would make alike, is read there.

What that is Snakemake says itself. It is asked, without running anything, what it would make again
if this configuration were that run's: what it would leave as it is came of the same code, the same
settings and the same inputs. Everything that jobs read is taken so, from sources to scores; what
people read (tables, figures, claims, report) is the run's own.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from diffusion4k.config.resolve import Config
from diffusion4k.dag import paths
from diffusion4k.errors import UserError
from diffusion4k.files import write_text
from diffusion4k.ledger.ask import ask

# what people read, as the files at the top are: the report, claims
OWN = ("tables", "figures", "report")
# Snakemake's words for what it would leave as it is, and for a log that it knows nothing of
UNCHANGED, NO_RECORD = "no update", "-"
KEYS = ("run", "reuse", "base")  # that say which run it is, and are in no job


def decide(raw: Config, deployment: Iterable[Any] = ()) -> list[str]:
    """Names of the files, below results/<reuse>/, that the run `raw` takes from there.

    raw: the configuration as Snakemake merged it; deployment: Snakemake's methods (conda).
    UserError when there is no such run, or it itself takes files from another.
    """
    other = Path("results", raw["reuse"])
    saved = other / "config.yaml"
    if not saved.is_file():
        runs = ", ".join(sorted(path.parent.name for path in Path("results").glob("*/config.yaml")))
        raise UserError(f"config: reuse: nothing has run in {other}; runs here: {runs or 'none'}")
    if further := yaml.safe_load(saved.read_text(encoding="utf-8")).get("reuse"):
        raise UserError(
            f"config: reuse: {other.name} itself takes files from {further}; name {further}"
        )
    config = {key: value for key, value in raw.items() if key not in KEYS} | {"run": other.name}
    lines = [line.split("\t") for line in _summary(config, deployment).splitlines()]
    unchanged = (line for line in lines if line[-1] == UNCHANGED and Path(line[0]).exists())
    alike = {line[0]: line[3] for line in unchanged}
    # of a file without a record Snakemake knows no settings, and leaves it: not good enough here
    recorded = [file for file, log in alike.items() if log != NO_RECORD]
    if alike and not recorded:
        raise UserError(
            f"config: reuse: Snakemake has no record of how {other} was made (a copy?); with that"
            " run's configuration: snakemake … --touch --forceall all"
        )
    names = (file.removeprefix(f"{other}/") for file in recorded)
    return sorted(name for name in names if "/" in name and name.split("/")[0] not in OWN)


def note(config: Config) -> str:
    """What is taken from where, in a line."""
    stages = Counter(
        name.split("/")[0] for name in paths.reused(config["run"]) if name.endswith(".json")
    )
    counts = ", ".join(f"{count} of {stage}" for stage, count in sorted(stages.items()))
    return f"from results/{config['reuse']}: {counts or 'nothing, all of it would differ'}"


def save(config: Config) -> None:
    """Keep the decision beside the results, for jobs: Snakemake runs in processes of their own."""
    if "reuse" in config:
        # an object, as of all JSON of a run: `verify` takes a list for a damaged manifest
        record = {"reused": sorted(paths.reused(config["run"]))}
        write_text(f"{paths.root(config)}/{paths.LIST}", json.dumps(record, indent=1) + "\n")


def _summary(config: Config, deployment: Iterable[Any]) -> str:
    """Snakemake's table of all files of a configuration and whether it would make them again."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "config.yaml")
        file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        methods = ["--sdm", *map(str, deployment)] if deployment else []
        # that of $SNAKEMAKE_PROFILE has had its say: its configuration is in the file
        own = ["--configfile", str(file), *methods, "--profile", "none"]
        try:
            return ask(["all", "-n", "--summary", "--cores", "1", *own])
        except UserError as error:
            reason = f"{config['run']} cannot be compared with this"
            raise UserError(f"config: reuse: {reason}: {error}") from None
