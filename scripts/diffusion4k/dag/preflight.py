"""Before the first job: what would stop a run after hours is asked at its start."""

import os
import sys
from pathlib import Path
from typing import Any

from diffusion4k.config.resolve import Config
from diffusion4k.dag import sources
from diffusion4k.errors import UserError
from diffusion4k.sources import hub


def use_own_interpreter() -> None:
    """Let `python` in a rule be the one that runs Snakemake; a conda environment still wins."""
    own = str(Path(sys.executable).parent)
    if own not in os.environ.get("PATH", "").split(os.pathsep)[:1]:
        os.environ["PATH"] = os.pathsep.join([own, os.environ.get("PATH", "")])


def licence(config: Config, source: str) -> str | None:
    """What a source to be downloaded needs its user to accept, and whether a token is there."""
    need = sources.licence(config, source)
    if not need or Path(sources.manifest(config, source)).exists() or hub.offline():
        return None
    return f"{need} ({'a token is set' if hub.token_is_set() else 'no token is set'})"


def check(config: Config, workflow: Any, iqa: Path | None) -> None:
    """UserError, a line each, for what the jobs that are about to run lack.

    iqa: the folder of programs of the environment that MUSIQ and MANIQA need; None under conda,
    which makes it.
    """
    jobs = list(workflow.dag.needrun_jobs())
    lacking = []
    if not hub.token_is_set():
        fetched = {job.wildcards.source for job in jobs if job.rule.name == "fetch_source"}
        lacking += [sources.licence(config, s) for s in sorted(fetched) if licence(config, s)]
    if iqa and any(job.rule.name == "quality" for job in jobs) and not (iqa / "python").exists():
        lacking.append("MUSIQ and MANIQA need .venv-iqa: run `make env-iqa` (or --sdm conda)")
    if lacking:
        raise UserError("\n".join(lacking))
