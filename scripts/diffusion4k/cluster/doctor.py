"""Does this cluster fit this configuration? One line an answer, with what to change.

What can be asked from the login node is here; what only a job can tell is in probe.py.
"""

import re
import shlex
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from diffusion4k import files
from diffusion4k.cluster import slurm, submission, trainings
from diffusion4k.cluster.finding import Finding
from diffusion4k.config.resolve import Config
from diffusion4k.dag import paths, resources, sources
from diffusion4k.dag.resources import RAISED
from diffusion4k.errors import UserError
from diffusion4k.estimate import plan
from diffusion4k.sources import access, hub

LONGEST_PAUSE = 180  # seconds between two looks of the executor plugin at its jobs

TRIAL = Path("results/demo-gpu")  # config/demo-gpu.yaml

# findings after which no job need be tried
NO_JOBS = {"SLURM", "cpu partition", "gpu partition", "GPU model", "jobs"}


@dataclass(frozen=True)
class Partition:
    """Its time limit in minutes, its best nodes' GPUs by model (\"\": no model)."""

    name: str
    default: bool
    minutes: float
    gpus: dict[str, int]


def examine(config: dict[str, Any], folder: Path) -> Iterator[Finding]:
    """All answers that the login node can give; the first fault of SLURM itself ends them."""
    try:
        slurm.ask("scontrol", "ping")
        by_name = partitions()
    except UserError as error:
        yield Finding(False, "SLURM", f"{error}; run this on a login node with SLURM's commands")
    else:
        named = list(_partitions(config["site"], by_name))
        yield from named
        if all(finding.ok for finding in named):
            yield from _gpus(config, by_name)
            yield from _times(config, by_name)
            yield from trainings.slots(config, folder / "benchmarks/results")
            yield from trainings.memory(config)
            yield from _accepted(config, folder)
        yield _polling()
        yield trainings.notice(config, folder / paths.root(config))
    yield _trial(folder)
    yield _disk(config, folder / paths.root(config))
    whole = plan.Plan(config)
    yield from tokens(config, whole.sources(whole.everything))


def partitions() -> dict[str, Partition]:
    """The partitions by name."""
    by_name: dict[str, Partition] = {}
    for line in slurm.ask("sinfo", "--noheader", "--format=%P|%l|%G").splitlines():
        name, limit, gres = line.split("|")
        key = name.rstrip("*")
        gpus = {
            model or "": int(count)
            for model, count in re.findall(r"gpu:(?:([^:(),]+):)?(\d+)", gres)
        }
        # a line for each kind of node: of each model, as many as the node has that has most
        for model, count in by_name[key].gpus.items() if key in by_name else ():
            gpus[model] = max(count, gpus.get(model, 0))
        by_name[key] = Partition(key, name.endswith("*"), slurm.minutes(limit), gpus)
    return by_name


def _partitions(site: dict[str, Any], by_name: dict[str, Partition]) -> Iterator[Finding]:
    names = ", ".join(by_name)
    for key in ("cpu_partition", "gpu_partition"):
        what = key.replace("_", " ")
        if key in site and site[key] not in by_name:
            yield Finding(False, what, f"no {site[key]!r} here; set site.{key} to one of {names}")
        elif key not in site and not any(partition.default for partition in by_name.values()):
            yield Finding(False, what, f"the cluster has no default; set site.{key}: {names}")
        else:
            yield Finding(True, what, site.get(key, "the cluster's default"))


def _where(config: Config, gpus: int, by_name: dict[str, Partition]) -> Partition:
    name = config["site"].get("gpu_partition" if gpus else "cpu_partition")
    return by_name[name] if name else next(p for p in by_name.values() if p.default)


def _gpus(config: Config, by_name: dict[str, Partition]) -> Iterator[Finding]:
    worlds = {
        name: submission.asked(config, *kind) for name, kind in submission.kinds(config).items()
    }
    needs = {name: _per_node(request) for name, request in worlds.items() if _per_node(request)}
    if not needs:
        return
    partition, model = _where(config, 1, by_name), config["site"].get("gpu_model")
    if not partition.gpus:
        detail = f"partition {partition.name} has none; set site.gpu_partition"
        yield Finding(False, "GPU model", detail)
        return
    has = ", ".join(f"{n} x {m or 'gpu'}" for m, n in partition.gpus.items())
    if model and model not in partition.gpus:
        yield Finding(
            False, "GPU model",
            f"partition {partition.name} has {has} a node, not {model}; set "
            "site.gpu_model or site.gpu_partition",
        )  # fmt: skip
        return
    most = partition.gpus[model] if model else max(partition.gpus.values())
    for name, count in needs.items():
        if count > most:
            yield Finding(
                False, "GPUs",
                f"{name} asks for {count} on a node, partition {partition.name} has {has}; set "
                "backbones.<name>.train.nodes (or gpus, with micro_batch)",
            )  # fmt: skip
            return
    yield Finding(True, "GPUs", f"{has} a node in partition {partition.name}")


def _per_node(request: dict[str, Any]) -> int:
    return request.get("gpu") or int(request.get("gres", "0").split(":")[-1])


def _times(config: Config, by_name: dict[str, Partition]) -> Iterator[Finding]:
    for name, (step, model) in submission.kinds(config).items():
        request = submission.asked(config, step, model, attempt=RAISED)
        partition = _where(config, _per_node(request), by_name)
        if request["runtime"] > partition.minutes:
            yield Finding(
                False, "time limit",
                f"{name} asks for up to {request['runtime']} minutes, partition {partition.name} "
                f"allows {partition.minutes:.0f}; set site.max_runtime: {partition.minutes:.0f}",
            )  # fmt: skip
            return
    margin = config["train"]["time_margin"]
    yield Finding(True, "time limits", f"training ends itself, saved, {margin} minutes before its")


def _accepted(config: Config, folder: Path) -> Iterator[Finding]:
    """Ask the scheduler itself about one job of each kind, in the words of the plugin."""
    kinds, refused = submission.kinds(config), {}
    for name, (step, model) in kinds.items():
        request = submission.asked(config, step, model, attempt=RAISED)
        line = submission.sbatch(
            request,
            resources.threads(config, step, submission.wildcards(config, step, model)),
            folder,
            *("--test-only", "--wrap=true"),
        )
        try:
            slurm.ask(*line)
        except UserError as error:
            reason = re.split("sbatch: error: |allocation failure: ", str(error))[-1].strip()
            refused.setdefault(reason, []).append((name, line))
    for reason, lines in refused.items():
        jobs = ", ".join(name for name, _ in lines)
        flags = shlex.join(lines[0][1]).split("--comment doctor", 1)[-1].split(" -D ")[0]
        yield Finding(
            False, "jobs",
            f"sbatch refuses {jobs}: {reason} ({flags.strip()}); change config/site.yaml or "
            "resources.<step> of the configuration",
        )  # fmt: skip
    if not refused:
        yield Finding(True, "jobs", f"sbatch would take all {len(kinds)} kinds")


def _polling() -> Finding:
    profile = Path("profiles/slurm/config.yaml")
    text = yaml.safe_load(profile.read_text(encoding="utf-8")) if profile.is_file() else {}
    if text.get("slurm-status-command", "squeue") != "squeue":
        return Finding(True, "polling", "by sacct, as profiles/slurm/config.yaml says")
    seconds = int((re.match(r"\d+", slurm.setting("MinJobAge")) or "0")[0])
    if seconds > LONGEST_PAUSE:
        return Finding(True, "polling", f"squeue remembers finished jobs for {seconds} s")
    return Finding(
        False, "polling",
        f"squeue forgets finished jobs after {seconds} s (MinJobAge), looks are up to "
        f"{LONGEST_PAUSE} s apart: a finished job would be waited for without end; where "
        "accounting is on, set slurm-status-command: sacct in profiles/slurm/config.yaml",
    )  # fmt: skip


def _trial(folder: Path) -> Finding:
    """Whether anything has run on a GPU here yet: a miniature of all stages can."""
    if (folder / TRIAL / "report.html").is_file():
        return Finding(True, "trial", f"the miniature has run on a GPU: {TRIAL}/report.html")
    detail = "none yet; `make demo-gpu` on a node with a GPU runs all stages in miniature"
    return Finding(True, "trial", f"{detail} (8 minutes on an H100, estimated)")


def _disk(config: Config, where: Path) -> Finding:
    exists = next(path for path in (where, *where.parents) if path.exists())
    free, parts = shutil.disk_usage(exists).free / 1e9, plan.Plan(config).disk()
    total, here = sum(parts.values()), files.disk(where) / 1e9
    stages = ", ".join(f"{name} {size:,.0f}" for name, size in parts.items() if size >= 1)
    space = f"about {total:,.0f} GB needed ({stages}), {free:,.0f} GB free in {exists}"
    space += f", {here:,.0f} GB written already" if here >= 1 else ""
    if total - here <= free:
        return Finding(True, "disk", space)
    return Finding(False, "disk", f"{space}; make results/ a link to a larger file system")


def tokens(config: Config, names: Iterable[str]) -> Iterator[Finding]:
    """Whether each of these sources that is gated may be read: the hub is asked, with the token."""
    for name in [name for name in names if sources.licence(config, name)]:
        what, entry = f"source {name}", config["sources"][name]
        need = sources.licence(config, name).removeprefix(f"{what}: ")
        if Path(sources.manifest(config, name)).exists():
            yield Finding(True, what, "is here")
        elif hub.offline():
            yield Finding(True, what, "HF_HUB_OFFLINE is set: its cache is taken, no token tried")
        elif not hub.token_is_set():
            yield Finding(False, what, f"no token; {need}")
        else:
            answer = access.ask(entry["hub"], entry.get("type", "model"))
            untried = "" if answer.reached else "; the token is not tried, downloads run here"
            accepted = "the hub takes the token that is set"
            yield Finding(not answer.refusal, what, f"{answer.refusal}{untried}" or accepted)
