"""Never two jobs on one output: what an earlier Snakemake of this folder left behind.

Snakemake cancels its jobs when it is interrupted, but not when it is killed (kill -9, a login node
that goes down): its lock stays and its jobs run on, beside those of the next start. So a run on
SLURM signs the folder while it lives, with the names and times of its locks. At the next start the
signature tells a lock that somebody holds from one that nobody does, and jobs that nobody watches
are cancelled: what takes long here goes on from its last save, so that little is lost.
"""

import atexit
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import psutil  # Snakemake brings it

from diffusion4k.cluster import slurm
from diffusion4k.errors import UserError
from diffusion4k.files import write_text

LOCKS, SIGNATURE = Path(".snakemake/locks"), Path(".snakemake/slurm_run.json")
TIME_TO_END = 300.0  # seconds for cancelled jobs to save and end
_others: dict[Path, int] = {}  # lock files that were there before this run took its own
LOOKS = {"crate", "doctor", "plan", "repair", "verify"}  # targets whose own jobs make nothing


def release_dead_lock() -> None:
    """Before Snakemake takes its lock: remove that of a run on SLURM that was killed."""
    signed = _signature()
    if signed and _alive(signed) is False:
        held = signed.get("locks", {}).items()
        dead = [path for path, created in _locks().items() if (path.name, created) in held]
        for path in dead:
            path.unlink(missing_ok=True)
        if dead:
            _say(f"the lock of a killed run (process {signed['pid']}) is removed")
    _others.update(_locks())


def end_unwatched_jobs(workflow: Any) -> None:
    """Before the first job of a run: end what nobody watches, then sign the folder.

    When there was something, Snakemake starts over, since a job may have finished meanwhile.
    UserError: another run on SLURM is alive in this folder, or may be.
    """
    on_slurm = workflow.executor_plugin.name == "slurm"
    signed = _signature()
    targets = set(workflow.dag_settings.targets)
    if workflow.touch or (targets and targets <= LOOKS) or not (on_slurm or signed):
        return
    alive = _alive(signed) if signed else False
    if on_slurm and alive is not False:
        where = f"process {signed['pid']} on {signed['host']}"
        hint = "stop it first" if alive else f"if it no longer runs there, remove {SIGNATURE}"
        raise UserError(f"another snakemake runs jobs of this folder ({where}); {hint}")
    if alive is False and _cancel(slurm.jobs(Path.cwd())):
        workflow.persistence.unlock()
        os.execv(sys.executable, sys.orig_argv)
    if on_slurm:
        mine = psutil.Process()
        record = {"host": socket.gethostname(), "pid": mine.pid, "began": mine.create_time()}
        locks = _locks().items() - _others.items()
        record["locks"] = {path.name: created for path, created in locks}
        write_text(SIGNATURE, json.dumps(record) + "\n")
        atexit.register(SIGNATURE.unlink, missing_ok=True)
    elif alive is False:
        SIGNATURE.unlink(missing_ok=True)


def _locks() -> dict[Path, int]:
    """Snakemake's lock files in this folder, and when each was written (ns)."""
    return {path: path.stat().st_mtime_ns for path in LOCKS.glob("*.lock")}


def _cancel(left: list[slurm.Queued]) -> bool:
    """Cancel jobs and wait until they are gone; whether there were any."""
    if not left:
        return False
    _say("an earlier run was stopped and left jobs; they are cancelled, their saves stay:")
    for job in left:
        _say(f"  {job}")
    slurm.ask("scancel", *(job.id for job in left))
    end = time.monotonic() + TIME_TO_END
    while waiting := {job.id for job in slurm.jobs(Path.cwd())} & {job.id for job in left}:
        if time.monotonic() > end:
            raise UserError(f"jobs {', '.join(sorted(waiting))} do not end; see squeue, then retry")
        time.sleep(1)
    _say("they are gone; starting over with what they made")
    return True


def _signature() -> dict[str, Any] | None:
    try:
        return json.loads(SIGNATURE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _alive(signed: dict[str, Any]) -> bool | None:
    """Whether the process that signed still runs; None when it was on another machine."""
    if signed["host"] != socket.gethostname():
        return None
    try:
        return abs(psutil.Process(signed["pid"]).create_time() - signed["began"]) < 1
    except psutil.NoSuchProcess:
        return False


def _say(line: str) -> None:
    print(f"slurm: {line}", file=sys.stderr, flush=True)
