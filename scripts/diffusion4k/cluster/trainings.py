"""Whether trainings fit the jobs that they are given: time, the node's memory, notice of an end."""

import math
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from diffusion4k import progress
from diffusion4k.cluster import slurm, submission
from diffusion4k.cluster.finding import Finding
from diffusion4k.config.resolve import Config
from diffusion4k.dag import resources
from diffusion4k.dag import train as finetuning
from diffusion4k.dag import vae as autoencoders
from diffusion4k.estimate import autoencoder, basis, cost, plan
from diffusion4k.estimate import memory as estimate


def slots(config: Config, benchmarks: Path) -> Iterator[Finding]:
    """Estimate whether a segment of each training fits the jobs that it may take."""
    device, most_jobs = config["plan"].get("device"), config["train"]["slots"]
    estimated = plan.Plan(config, plan.measured(benchmarks, device))
    short, rates = False, ""
    for label, step, name in _all(config):
        section = submission.CHAINS[step].section
        own = config[section]
        segment = min(own["segment"], own["steps"])
        job = submission.wildcards(config, step, name)
        minutes = resources.time_limit(config, step, job)
        work = cost.of(config, (step, name))
        tflops = estimated.tflops(work)
        seconds = work.wall_hours(tflops) * 3600 / own["steps"]
        most, needed = int(most_jobs * minutes * 60 / seconds), segment * seconds / 60
        rates += f", {label} {segment:,} steps of {seconds:.3g} s"
        if most < segment:
            short = True
            yield Finding(
                False, f"slots of {label}",
                f"estimated: at {seconds:.1f} s a step ({tflops:g} TFLOP/s a GPU, "
                f"{estimated.tflops_from(work)}) "
                f"{most_jobs} jobs of {minutes} minutes are {most:,} of a segment's {segment:,} "
                f"steps; set {section}.segment: {most} or less, train.slots: "
                f"{math.ceil(needed / minutes)}, or {resources.slot_key(config, step, job)}: "
                f"{math.ceil(needed / most_jobs) + config['train']['time_margin']}",
            )  # fmt: skip
    if not short:
        yield Finding(True, "slots", f"estimated{rates}: segments fit {most_jobs} jobs each")


def memory(config: Config) -> Iterator[Finding]:
    """Whether a training asks for what its weights and optimizer take of a node's own memory."""
    for label, step, name in _all(config):
        key = f"backbones.{_backbone(config, step, name)}.train.resources.mem_mb"
        if step == "train":
            needed = estimate.host(config, name)
        else:  # a save, which each process that resumes reads there first
            gpus, nodes = resources.world(config, step, None)
            needed = _save_of_vae(config, name) * max(gpus, 1) / nodes / 1e9
            key = f"resources.{step}.mem_mb"
        limit = submission.asked(config, step, name)["mem_mb"] / 1e3
        if limit < needed:
            yield Finding(
                False, f"memory of {label}",
                f"asks for {limit:.0f} GB a node, weights and optimizer take {needed:.0f} GB there"
                f"; raise {key}, which is of each GPU",
            )  # fmt: skip


def notice(config: Config, run: Path) -> Finding:
    """Whether a training that SLURM ends has the time to save, of SLURM and then of torchrun."""
    wait = int((re.match(r"\d+", slurm.setting("KillWait")) or "0")[0])
    limits, ranks = f"SLURM kills {wait} s after its signal (KillWait)", math.inf
    worlds = (
        resources.world(config, step, submission.wildcards(config, step, name))
        for _, step, name in _all(config)
    )
    if any(gpus > 1 for gpus, _ in worlds):  # else plain python
        ranks = resources.shutdown_timeout(config) if _torchrun_is_told() else 30
        limits += f", torchrun its ranks after {ranks} s"
    times = [
        (seconds, chain.section)
        for chain in submission.CHAINS.values()
        for path in run.glob(f"{chain.folder.format(name='*')}/progress/*/{progress.NAME}")
        if (seconds := progress.notice(progress.read(path))) is not None
    ]
    if not times:
        return Finding(True, "notice", f"{limits}; no training has saved yet here")
    needed, section = max(times)
    detail = f"a step and a save took {needed:.0f} s, {limits}"
    if needed <= min(wait, ranks):
        return Finding(True, "notice", detail)
    back = resources.lost(config, section)
    lost = f"a training that is cancelled or preempted goes back up to {back}"
    change = f"ask for more of SLURM, or lower {section}.save_every"
    if ranks < needed:
        change = "raise train.time_margin, of which torchrun leaves half"
        if not _torchrun_is_told():
            change = "install torch 2.15 or later, whose torchrun leaves half of train.time_margin"
    return Finding(False, "notice", f"{detail}: {lost}; {change}")


def _torchrun_is_told() -> bool:
    """Whether torchrun asks the environment how long its ranks have after a signal.

    Without torch here jobs have that of envs/gpu.yaml, which does.
    """
    try:
        return tuple(map(int, metadata.version("torch").split(".")[:2])) >= (2, 15)
    except metadata.PackageNotFoundError:
        return True


def _all(config: Config) -> Iterator[tuple[str, str, str]]:
    """Of each training its name for people, its rule, and the model or VAE."""
    yield from ((f"vae {name}", "train_vae", name) for name in autoencoders.trained(config))
    yield from ((model, "train", model) for model in finetuning.trained(config))


def _save_of_vae(config: Config, name: str) -> int:
    """Bytes."""
    entry = config["vaes"][name]
    recipe = config["vae_recipes"][entry["recipe"]]
    return autoencoder.state(
        basis.architecture(config, entry["backbone"]).vae,
        config["vae_training"],
        trained=recipe["encoder"] == "trained",
        average=recipe["ema"] > 0,
    )


def _backbone(config: Config, step: str, name: str) -> str:
    return basis.backbone_of(config, config["models" if step == "train" else "vaes"][name])
