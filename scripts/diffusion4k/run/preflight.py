"""Before the first job: what would stop a run after hours is asked at its start."""

import contextlib
import functools
import io
import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakemake.cli import get_profile_dir, parse_args

from diffusion4k import cli
from diffusion4k.cluster.leftovers import end_unwatched_jobs as end_unwatched_jobs
from diffusion4k.cluster.leftovers import release_dead_lock as release_dead_lock
from diffusion4k.config import models
from diffusion4k.config.resolve import Config, origin, read, repeated
from diffusion4k.config.resolve import save as save_config
from diffusion4k.dag import metrics, reuse, sources
from diffusion4k.dag.paths import record, root
from diffusion4k.errors import UserError
from diffusion4k.sources import access, hub, retry

CONFIG_FILES, CONFIG = ("--configfile", "--configfiles"), ("--config", "-C")


@functools.cache
def command_line() -> Namespace:
    """What Snakemake was started with, as it read that: the rules do not have it yet.

    As without any where the command line is not Snakemake's, but of a program that uses its API.
    """
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return parse_args(sys.argv[1:])[1]
        except SystemExit:
            return parse_args([])[1]


def use_own_interpreter() -> None:
    """Let `python` in a rule be the one that runs Snakemake; a conda environment still wins.

    DIFFUSION4K_PYTHON is a folder whose `python` stands in for it: the demo's (scripts/warm.py).
    """
    own = filter(None, [os.environ.get("DIFFUSION4K_PYTHON"), str(Path(sys.executable).parent)])
    first, path = os.pathsep.join(own), os.environ.get("PATH", "")
    if not f"{path}{os.pathsep}".startswith(f"{first}{os.pathsep}"):
        os.environ["PATH"] = os.pathsep.join([first, path])


def check_command_line(arguments: list[str], own_files: Iterable[str], base: str | None) -> None:
    """UserError for what Snakemake would drop of it without a word.

    It takes the last of two --config or --configfile, the last of two equal keys, and what is given
    in place of what the profile names: the miniature's profile would plan the paper.
    """
    own = [Path(file) for file in own_files]
    for names in (CONFIG_FILES, CONFIG):
        if len(given := [word for word in arguments if word.partition("=")[0] in names]) > 1:
            raise UserError(f"{given[0]} twice: the first would be dropped; put all behind one")
    pairs = _values(arguments, CONFIG)
    keyed = [pair.split("=", 1) for pair in pairs if "=" in pair]
    for at, (key, value) in enumerate(keyed):
        if key in dict(keyed[:at]) or (value.startswith("{") and repeated(value)):
            raise UserError(f"--config {key}={value}: a key is there a second time")
    for profile in _profiles(command_line()):
        if not (place := get_profile_dir(profile)):
            continue  # none, or what Snakemake itself refuses
        named = read(place[1])
        files = named.get("configfile") or []
        for file in map(Path, [files] if isinstance(files, str) else files):
            if file.resolve() not in {path.resolve() for path in own} and file.stem != base:
                mine = next(iter(own), Path("mine.yaml"))
                raise UserError(
                    f"--configfile {mine} takes the place of {file}, which the profile {profile}"
                    f" names; write `base: {file.stem}` into {mine}, or --configfile {file} {mine}"
                )
        theirs = [pair for pair in named.get("config") or [] if "=" in pair]
        lost = [pair for pair in theirs if pair.split("=", 1)[0] not in dict(keyed)]
        if pairs and lost:
            again = shlex.join(["--config", *lost, *pairs])
            raise UserError(
                f"--config takes the place of the profile's ({profile}); give both: {again}"
            )


def _profiles(command: Namespace) -> list[str]:
    """The profiles that are taken: the workflow's also by its name in profiles/, or `default`."""
    name = command.workflow_profile or "default"
    places = [] if name == "none" else [Path(name), Path("profiles", name)]
    there = [str(place) for place in places if place.exists()]
    return [*(command.profile or []), *there[:1]]


def _values(arguments: list[str], names: tuple[str, ...]) -> list[str]:
    """The words that these options of a command line take."""
    values, open_ = [], False
    for word in arguments:
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            open_ = name in names
            values += [value] if open_ and equals else []
        elif open_:
            values.append(word)
    return values


def notes(config: Config) -> list[str]:
    """Lines for the terminal: what another run gives, a copy, which tables your models are in."""
    reused = [reuse.note(config)] if "reuse" in config else []
    return [*reused, *copied(config), *models.row_notes(config)]


def save(config: Config) -> None:
    """Keep the resolved configuration, and what is taken from another run, beside the results.

    UserError where the folder cannot be written.
    """
    try:
        save_config(config, f"{root(config)}/config.yaml")
        reuse.save(config)
    except OSError as error:
        if not (reason := cli.refusal(error)):
            raise
        raise UserError(f"{root(config)}: {reason}") from None


def copied(config: Config) -> list[str]:
    """A line when the run's files are here and Snakemake's records of their making are not."""
    manifests = sorted(Path(root(config)).glob("sources/*.json"))
    if not manifests or any(record(str(path)).is_file() for path in manifests):
        return []
    return [
        f"{root(config)} is a copy without Snakemake's records: after `cp -a` (with times), record"
        " it by `snakemake … --touch --forceall TARGET`, or much of it is made anew"
    ]


def refusals(config: Config, fetched: list[str]) -> list[str]:
    """Why sources that are to be fetched cannot be: no token, or one that the hub does not take.

    A hub that does not answer is noted on the terminal: it may, while downloads wait.
    """
    by_hand = (s for s in fetched if origin(config["sources"][s]) == "by_hand")
    lines = [sources.licence(config, source) for source in by_hand]
    from_hub = [s for s in fetched if origin(config["sources"][s]) == "hub" and not hub.offline()]
    gated = [source for source in from_hub if sources.licence(config, source)]
    if not hub.token_is_set():
        lines += [sources.licence(config, source) for source in gated]
        from_hub = [source for source in from_hub if source not in gated]
    for source in from_hub:
        entry = config["sources"][source]
        answer = access.ask(entry["hub"], entry.get("type", "model"))
        if not answer.reached:
            tries = f"{sum(retry.BACK_OFF) // 60} minutes and more, in up to {retry.JOBS} jobs"
            print(
                f"note: {answer.refusal}; a download tries again for {tries}, and says so here;"
                " where there is no network: HF_HUB_OFFLINE=1 (docs/sources.md)",
                file=sys.stderr,
                flush=True,
            )
            break
        if source in gated and answer.refusal:
            lines.append(f"source {source}: {answer.refusal}, or give sources.{source}.path")
    return lines


def check(config: Config, workflow: Any, conda: bool) -> None:
    """UserError, a line each, for what the jobs that are about to run lack.

    conda: it makes the environments of jobs, also the one that MUSIQ and MANIQA need.
    """
    jobs = list(workflow.dag.needrun_jobs())
    fetched = {job.wildcards.source for job in jobs if job.rule.name == "fetch_source"}
    lacking = refusals(config, sorted(fetched))
    iqa = any(job.rule.name == "quality" for job in jobs) and not conda
    if iqa and not (metrics.IQA_BIN / "python").exists():
        lacking.append("MUSIQ and MANIQA need .venv-iqa: run `make env-iqa` (or --sdm conda)")
    if lacking:
        raise UserError("\n".join(lacking))
