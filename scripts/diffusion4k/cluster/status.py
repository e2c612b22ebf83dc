"""Where every training of a run stands, from its files and from squeue."""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from diffusion4k import manifest
from diffusion4k.cluster import slurm
from diffusion4k.config.resolve import Config
from diffusion4k.dag import train, vae
from diffusion4k.dag.chains import Chain
from diffusion4k.errors import UserError
from diffusion4k.progress import NAME, read

STALE = 600.0  # seconds without a word after which a running segment is worth a look


@dataclass(frozen=True)
class Line:
    """One segment: which, its state, and what there is to say about it."""

    model: str
    step: int
    state: str
    detail: str = ""


@dataclass(frozen=True)
class Queue:
    """Training jobs by <model>_<step>, of VAEs by vae <vae>_<step>; `fault`: why SLURM could not
    be asked for them."""

    jobs: dict[str, slurm.Queued]
    fault: str = ""


def ask(folder: Path) -> Queue:
    """What squeue knows of the trainings of a checkout."""
    try:
        jobs = slurm.jobs(folder)
    except UserError as error:
        return Queue({}, str(error).splitlines()[-1])
    marks = {
        f"rule_{rule}{kept}_wildcards_": of
        for rule, of in (("train", ""), ("train_vae", "vae "))
        for kept in ("", "_kept")
    }
    return Queue({
        of + job.comment.removeprefix(mark): job
        for job in jobs for mark, of in marks.items() if job.comment.startswith(mark)
    })  # fmt: skip


def lines(config: Config, folder: Path, queue: Queue, now: float | None = None) -> Iterator[Line]:
    """A line for each segment of each training, in order; `folder` is the checkout."""
    now = now or time.time()
    chains = ((vae.CHAIN, vae.trained(config)), (train.CHAIN, train.trained(config)))
    for chain, names in chains:
        for name in names:
            for step in chain.segments(config):
                yield _line(folder, config, chain, name, step, queue, now)


def _line(
    folder: Path, config: dict[str, Any], chain: Chain, name: str, step: int, queue: Queue,
    now: float,
) -> Line:  # fmt: skip
    model = f"vae {name}" if chain is vae.CHAIN else name
    if (end := folder / chain.last_step(config, name)).exists():
        if step < chain.segments(config)[-1]:
            return Line(model, step, "finished")
        try:
            loss = manifest.read(end).results.get("loss")
        except UserError as error:
            return Line(model, step, "damaged", str(error))
        return Line(model, step, "finished", f"loss {loss:.4g}" if loss is not None else "")
    if (folder / chain.step_file(config, name, step)).exists():
        return Line(model, step, "finished")
    job = queue.jobs.get(f"{model}_{step:06d}")
    wildcards = SimpleNamespace(**{chain.wildcard: name, "step": f"{step:06d}"})
    own = folder / chain.progress_folder(config, wildcards)
    record, other = _progress(own, step, job, queue, now)
    saved = f"goes on from step {record['saved_step']}" if "saved_step" in record else other
    if job is not None and job.state == "PENDING":
        detail = ", ".join(filter(None, [f"job {job.id} ({job.reason})", saved]))
        return Line(model, step, "queued", detail)
    if job is not None:
        text = _running(record, now) if record.get("slurm_job") == job.id else "starting"
        return Line(model, step, "running", f"job {job.id}, {job.elapsed}: {text}{_gpus(job)}")
    if not record and queue.fault and shutil.which("squeue"):
        return Line(model, step, "unknown", other)
    if not record:
        detail = ", ".join(filter(None, ["for what it is made from", other]))
        return Line(model, step, "waiting", detail)
    if record["state"] in ("starting", "running") and not record.get("slurm_job"):
        return Line(model, step, "running", f"on {record['host']}: {_running(record, now)}")
    if record.get("slurm_job") and queue.fault:
        ago = clock(now - record["updated"])
        seen = f"job {record['slurm_job']} was {record['state']} {ago} ago"
        return Line(model, step, "unknown", f"{seen}: {_running(record, now)}")
    at = f"saved at step {record['saved_step']}" if "saved_step" in record else "nothing saved"
    return Line(model, step, "stopped", ", ".join([at, *filter(None, [record.get("error")])]))


def _progress(
    own: Path, step: int, job: slurm.Queued | None, queue: Queue, now: float
) -> tuple[dict[str, Any], str]:
    """The word of a segment in its `own` folder; what there is to say of another digest's save.

    A save of other code or settings will not be resumed, but a job that began with them may live.
    """
    record = read(own / NAME)
    others = [read(path) for path in own.parent.glob(f"*-{step:06d}/{NAME}") if path.parent != own]
    other = max(filter(None, others), key=lambda of_other: of_other["updated"], default={})
    if other and _lives(other, job, queue, now):
        return other, ""
    if record or "saved_step" not in other:
        return record, ""
    return record, f"begins anew: step {other['saved_step']} was saved by other code or settings"


def _lives(record: dict[str, Any], job: slurm.Queued | None, queue: Queue, now: float) -> bool:
    if job is not None:
        return job.state != "PENDING" and record.get("slurm_job") == job.id
    lately = record["state"] in ("starting", "running") and now - record["updated"] <= STALE
    return lately and bool(queue.fault or not record.get("slurm_job"))


def _running(record: dict[str, Any], now: float) -> str:
    if "step" not in record:
        return "starting"
    parts = [f"step {record['step']} of {record['stop_step']}"]
    if "seconds_per_step" in record:
        seconds = record["seconds_per_step"]
        left = (record["stop_step"] - record["step"]) * seconds
        rate = f"{seconds:.2f} s a step" if seconds >= 1 else f"{1 / seconds:.1f} steps/s"
        parts += [rate, f"{clock(left)} left", f"loss {record['loss']:.4g}"]
    silent = now - record["updated"]
    if silent > STALE:
        parts.append(f"SILENT for {clock(silent)}")
    return ", ".join(parts)


def clock(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _gpus(job: slurm.Queued) -> str:
    """The use of each GPU of a running job, asked on its nodes; empty without nvidia-smi."""
    query = "--query-gpu=utilization.gpu,memory.used --format=csv,noheader,nounits"
    smi = f'nvidia-smi {query} | sed "s/^/$SLURMD_NODENAME,/"'
    inside = ["srun", f"--jobid={job.id}", "--overlap", "--quiet"]
    inside += [f"--nodes={job.nodes}", f"--ntasks={job.nodes}"]
    try:
        rows = slurm.ask(*inside, "sh", "-c", smi, timeout=15).splitlines()
    except UserError:
        return ""
    used: dict[str, list[str]] = {}
    for node, use, memory in (row.split(",") for row in rows if row.count(",") == 2):
        used.setdefault(node, []).append(f"{use.strip()} %, {int(memory) / 1024:.1f} GiB")
    return "".join(
        f"; {f'{node} ' if job.nodes > 1 else ''}GPU {'; '.join(gpus)}"
        for node, gpus in sorted(used.items())
    )
