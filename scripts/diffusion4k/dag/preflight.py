"""Before the first job: what would stop a run after hours is asked at its start."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from diffusion4k import manifest
from diffusion4k.config.resolve import Config, origin
from diffusion4k.dag import sources
from diffusion4k.dag.paths import record, root
from diffusion4k.errors import UserError
from diffusion4k.ledger import check as ledger
from diffusion4k.sources import access, hub, retry


def use_own_interpreter() -> None:
    """Let `python` in a rule be the one that runs Snakemake; a conda environment still wins.

    DIFFUSION4K_PYTHON is a folder whose `python` stands in for it: the demo's (scripts/warm.py).
    """
    own = filter(None, [os.environ.get("DIFFUSION4K_PYTHON"), str(Path(sys.executable).parent)])
    first, path = os.pathsep.join(own), os.environ.get("PATH", "")
    if not f"{path}{os.pathsep}".startswith(f"{first}{os.pathsep}"):
        os.environ["PATH"] = os.pathsep.join([first, path])


def check_profile(arguments: list[str], own: list[Path], base: str | None) -> None:
    """UserError when --configfile has replaced the file that the profile names.

    Snakemake takes one in place of the other, and the miniature's profile would plan the paper.
    """
    given = {path.resolve() for path in own}
    profiles = [
        word.partition("=")[2] or following
        for word, following in zip(arguments, [*arguments[1:], ""], strict=True)
        if word.partition("=")[0] in ("--profile", "--workflow-profile")
    ]
    for profile in profiles:
        settings = Path(profile) / "config.yaml"
        named = yaml.safe_load(settings.read_text("utf-8")) if settings.is_file() else {}
        files = (named or {}).get("configfile") or []
        for file in map(Path, [files] if isinstance(files, str) else files):
            if file.resolve() not in given and file.stem != base:
                mine = next(iter(own), Path("mine.yaml"))
                raise UserError(
                    f"--configfile {mine} takes the place of {file}, which the profile {profile}"
                    f" names; write `base: {file.stem}` into {mine}, or --configfile {file} {mine}"
                )


def copied(config: Config) -> list[str]:
    """A line when the run's files are here and Snakemake's records of their making are not."""
    manifests = sorted(Path(root(config)).glob("sources/*.json"))
    if not manifests or any(record(str(path)).is_file() for path in manifests):
        return []
    return [
        f"{root(config)} is a copy without Snakemake's records: after `cp -a` (with times), record"
        " it by `snakemake … --touch --forceall TARGET`, or much of it is made anew"
    ]


def lost_behind(config: Config, arguments: Iterable[str]) -> list[str]:
    """A line for each file of the run among the arguments that rests on what is no longer there.

    Asked for a file, Snakemake does not miss what lies behind it, such as what a failed job was to
    make. The targets of a name do (lineage.py), so that is what to ask for.
    """
    run, lines = Path(root(config)), []
    for path in map(Path, arguments):
        if not path.is_file() or not path.resolve().is_relative_to(run.resolve()):
            continue
        waiting, seen = [path.with_suffix(".json")], set()
        if path.name == "report.html":
            waiting = [*run.glob("tables/*.json"), *run.glob("figures/*.json")]
            waiting += [run / "claims.json", run / "report/gallery.json"]
        while waiting and (file := waiting.pop()):
            if file in seen or file.suffix != ".json" or not file.is_file():
                continue
            seen.add(file)
            try:
                made = manifest.read(file)
            except UserError:
                continue  # the job that reads it says so
            waiting += map(Path, made.inputs.values())
            lines += ledger.gone(made).values()
    again = "not made again for a file's sake: ask for a target of a name (table_8, all)"
    return [f"{line}; {again}" for line in dict.fromkeys(lines)]


def licence(config: Config, source: str) -> str | None:
    """What a source to be downloaded needs its user to accept, and whether a token is there."""
    need = sources.licence(config, source)
    if not need or Path(sources.manifest(config, source)).exists() or hub.offline():
        return None
    said = "a token is set, tried at the start" if hub.token_is_set() else "no token is set"
    return f"{need} ({said})"


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


def check(config: Config, workflow: Any, iqa: Path | None) -> None:
    """UserError, a line each, for what the jobs that are about to run lack.

    iqa: the folder of programs of the environment that MUSIQ and MANIQA need; None under conda,
    which makes it.
    """
    jobs = list(workflow.dag.needrun_jobs())
    fetched = {job.wildcards.source for job in jobs if job.rule.name == "fetch_source"}
    lacking = refusals(config, sorted(fetched))
    if iqa and any(job.rule.name == "quality" for job in jobs) and not (iqa / "python").exists():
        lacking.append("MUSIQ and MANIQA need .venv-iqa: run `make env-iqa` (or --sdm conda)")
    if lacking:
        raise UserError("\n".join(lacking))
