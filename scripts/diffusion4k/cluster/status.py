"""Where every training of a run stands, from its files and from squeue."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusion4k.cluster import slurm
from diffusion4k.dag.stages import Stages
from diffusion4k.errors import UserError
from diffusion4k.train.progress import NAME, read

STALE = 600.0  # seconds without a word after which a running segment is worth a look


@dataclass(frozen=True)
class Line:
    """One segment: which, its state, and what there is to say about it."""

    model: str
    step: int
    state: str
    said: str = ""


def lines(config: dict[str, Any], folder: Path, now: float | None = None) -> Iterator[Line]:
    """A line for each segment of each training, in order; `folder` is the checkout."""
    stages, now = Stages(config), now or time.time()
    queued = _queued(folder)
    for model in stages.trained:
        for step in stages.segments:
            yield _line(folder, stages, model, step, queued, now)


def _line(folder: Path, stages: Stages, model: str, step: int, queued: dict, now: float) -> Line:
    if (folder / stages.last_step(model)).exists():
        done = json.loads((folder / stages.last_step(model)).read_text(encoding="utf-8"))
        if step < stages.segments[-1]:
            return Line(model, step, "finished")
        loss = done.get("results", {}).get("loss")
        return Line(model, step, "finished", f"loss {loss:.4g}" if loss is not None else "")
    if (folder / stages.step_file(model, step)).exists():
        return Line(model, step, "finished")
    told = _progress(folder / stages.root / "train" / model / "progress", step)
    job = queued.get(f"{model}_{step:06d}")
    if job is not None and job.state == "PENDING":
        saved = f", goes on from step {told['saved_step']}" if "saved_step" in told else ""
        return Line(model, step, "queued", f"job {job.id} ({job.reason}){saved}")
    if job is not None:
        text = _running(told, now) if told.get("slurm_job") == job.id else "starting"
        return Line(model, step, "running", f"job {job.id}, {job.elapsed}: {text}{_gpus(job)}")
    if not told:
        return Line(model, step, "waiting", "for what it is made from")
    if told["state"] in ("starting", "running") and not told.get("slurm_job"):
        return Line(model, step, "running", f"on {told['host']}: {_running(told, now)}")
    at = f"saved at step {told['saved_step']}" if "saved_step" in told else "nothing saved"
    return Line(model, step, "stopped", ", ".join([at, *filter(None, [told.get("error")])]))


def _progress(folder: Path, step: int) -> dict[str, Any]:
    """The newest word of a segment; other digests are of other code or settings."""
    found = [read(path) for path in folder.glob(f"*-{step:06d}/{NAME}")]
    return max(filter(None, found), key=lambda told: told["updated"], default={})


def _running(told: dict[str, Any], now: float) -> str:
    if "step" not in told:
        return "starting"
    parts = [f"step {told['step']} of {told['stop_step']}"]
    if "seconds_per_step" in told:
        seconds = told["seconds_per_step"]
        left = (told["stop_step"] - told["step"]) * seconds
        rate = f"{seconds:.2f} s a step" if seconds >= 1 else f"{1 / seconds:.1f} steps/s"
        parts += [rate, f"{clock(left)} left", f"loss {told['loss']:.4g}"]
    silent = now - told["updated"]
    if silent > STALE:
        parts.append(f"SILENT for {clock(silent)}")
    return ", ".join(parts)


def clock(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _queued(folder: Path) -> dict[str, slurm.Queued]:
    """Training jobs by <model>_<step>; empty where SLURM does not answer."""
    try:
        found = slurm.jobs(folder)
    except UserError:
        return {}
    marks = ("rule_train_wildcards_", "rule_train_kept_wildcards_")
    return {
        job.comment.removeprefix(mark): job
        for job in found for mark in marks if job.comment.startswith(mark)
    }  # fmt: skip


def _gpus(job: slurm.Queued) -> str:
    """The use of each GPU of a running job, asked on its node; empty without nvidia-smi."""
    query = "--query-gpu=utilization.gpu,memory.used"
    smi = ["nvidia-smi", query, "--format=csv,noheader,nounits"]
    inside = ["srun", f"--jobid={job.id}", "--overlap", "--ntasks=1", "--quiet"]
    try:
        rows = slurm.ask(*inside, *smi, timeout=15).split("\n")
    except UserError:
        return ""
    used = [row.split(",") for row in rows if row.count(",") == 1]
    said = "; ".join(f"{use.strip()} %, {int(memory) / 1024:.1f} GiB" for use, memory in used)
    return f"; GPU {said}" if said else ""
