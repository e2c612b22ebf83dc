"""The sbatch line of a step, from the executor plugin itself, without Snakemake running."""

import inspect
import shlex
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from diffusion4k.config.resolve import Config
from diffusion4k.dag import resources, train, vae

CHAINS = {chain.rule: chain for chain in (train.CHAIN, vae.CHAIN)}


class Asked(dict):
    """Resources as the plugin reads them: by get() and by attribute."""

    __getattr__ = dict.__getitem__


def wildcards(config: Config, step: str, name: str = "") -> SimpleNamespace:
    """Those of a job of `step`; `name`: the model or VAE whose first segment is trained."""
    if step not in CHAINS:
        return SimpleNamespace()
    chain = CHAINS[step]
    first = f"{chain.segments(config)[0]:06d}"
    return SimpleNamespace(**{chain.wildcard: name, "step": first})


def asked(config: Config, step: str, name: str = "", attempt: int = 1) -> Asked:
    """What a job of `step` asks for in an attempt; `name`: the model or VAE that is trained."""
    chain = CHAINS.get(step)
    given, request, slots = {"attempt": attempt}, Asked(), lambda wildcards: 0
    given["wildcards"] = wildcards(config, step, name)
    if chain:
        slots = partial(chain.ended_slots, config)
    for name, value in resources.asked(config, step, slots).items():
        if callable(value):
            wanted = inspect.signature(value).parameters
            value = value(**{key: item for key, item in given.items() if key in wanted})
        if value is not None:
            request[name] = value
    return request


def sbatch(request: Asked, threads: int, folder: Path, *more: str) -> list[str]:
    """The command that the plugin would submit a job with, and `more` flags."""
    from snakemake_executor_plugin_slurm.submit_string import get_submit_command
    from snakemake_executor_plugin_slurm.utils import set_gres_string

    job = SimpleNamespace(resources=request, threads=threads)
    given = {"account": "slurm_account", "partition": "slurm_partition"}
    flags = {"account": "-A", "partition": "-p"}
    named = {
        key: f"{flags[key]} {shlex.quote(request[name])}" if name in request else ""
        for key, name in given.items()
    }
    about = {"run_uuid": "doctor", "slurm_logfile": folder / ".snakemake/doctor-%j.log"}
    line = get_submit_command(
        job, about | named | {"comment_str": "doctor", "workdir": str(folder)}
    )
    return [*shlex.split(line + set_gres_string(job)), *more]


def kinds(config: Config) -> dict[str, tuple[str, str]]:
    """Every kind of job of a configuration: its name for people → (step, what is trained)."""
    others = (*resources.TRAININGS, "source")
    steps = {step: (step, "") for step in config["resources"] if step not in others}
    steps |= {f"train {model}": ("train", model) for model in train.trained(config)}
    return steps | {f"train_vae {name}": ("train_vae", name) for name in vae.trained(config)}
