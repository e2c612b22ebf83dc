"""What a job asks for: in Snakemake's words and in those of the SLURM executor plugin."""

from collections.abc import Callable
from typing import Any

from diffusion4k.config.resolve import Config

TRAININGS = ("train", "train_vae")  # steps that are resumed, in slots
RAISED = 3  # the attempt after which a job asks for no more than before
OF_A_JOB = "gpu gpu_model gres nodes mpi tasks tasks_per_gpu slurm_partition launch"


def wanted(config: Config, step: str, wildcards=None) -> dict[str, Any]:
    """resources.<step>; a fine-tuning's backbone may have values of its own."""
    own = _training(config, wildcards).get("resources", {}) if step == "train" else {}
    return config["resources"][step] | own


def times(config: Config, step: str, wildcards=None) -> int:
    """What threads and mem_mb are multiplied by: GPUs on a node of a training, else 1."""
    if step not in TRAININGS:
        return 1
    gpus, nodes = world(config, step, wildcards)
    return max(gpus // nodes, 1)


def threads(config: Config, step: str, wildcards=None) -> int:
    """Cores of a job, on each of its nodes; of a fine-tuning `wildcards` names the model."""
    return wanted(config, step, wildcards)["threads"] * times(config, step, wildcards)


def asked(
    config: Config, step: str, ended_slots: Callable[[Any], int] = lambda wildcards: 0
) -> dict[str, Any]:
    """Memory, minutes and GPUs of a step, raised by attempt; where it runs; how it starts.

    Memory is raised by attempts that failed: `ended_slots` counts those that ended as planned. A
    key whose function gives None is no resource of that job, as Snakemake has it, nor is one that
    is not here, unless a profile's default-resources have it.
    """
    site = config["site"]

    def at_most(limit: str, value: int) -> int:
        return min(value, site[limit]) if limit in site else value

    def mem_mb(wildcards, attempt):
        failed = max(1, attempt - ended_slots(wildcards))
        whole = wanted(config, step, wildcards)["mem_mb"] * times(config, step, wildcards)
        return at_most("max_mem_mb", whole * (2 + min(failed, RAISED)) // 3)

    def runtime(wildcards, attempt):
        minutes = config["resources"][step]["runtime"]
        return at_most("max_runtime", minutes * (1 + min(attempt, RAISED)) // 2)

    def of_job(name: str):
        return lambda wildcards: request(config, step, wildcards).get(name)

    # a segment of training is resumed, not repeated: its minutes are a slot, always the same
    request_of: dict[str, Any] = {"mem_mb": mem_mb, "runtime": runtime}
    if step in TRAININGS:
        request_of["runtime"] = lambda wildcards: slot(config, step, wildcards)
        request_of |= {name: of_job(name) for name in OF_A_JOB.split()}
    elif "gpu" in config["resources"][step]:  # for all jobs the same: no functions, which take time
        job = request(config, step, None)
        request_of |= {name: value for name, value in job.items() if value is not None}
    elif "cpu_partition" in site:
        request_of["slurm_partition"] = site["cpu_partition"]
    named = {"slurm_account": "account", "qos": "qos", "constraint": "constraint"}
    return request_of | {plugin: site[name] for plugin, name in named.items() if name in site}


def slot(config: Config, step: str, wildcards=None) -> int:
    """Minutes of a job that trains."""
    minutes = wanted(config, step, wildcards)["runtime"]
    return min(minutes, config["site"].get("max_runtime", minutes))


def slot_key(config: Config, step: str, wildcards) -> str:
    """The key that says how long a job of a training is."""
    if slot(config, step, wildcards) < wanted(config, step, wildcards)["runtime"]:
        return "site.max_runtime"
    if step == "train" and "runtime" in _training(config, wildcards).get("resources", {}):
        return f"backbones.{config['models'][wildcards.model]['backbone']}.train.resources.runtime"
    return f"resources.{step}.runtime"


def lost(config: Config, section: str) -> str:
    """What lies between two saves of a section's trainings, for people."""
    interval = config[section]["save_every"]
    return f"{interval['minutes']:g} minutes" if isinstance(interval, dict) else f"{interval} steps"


def time_limit(config: Config, step: str, wildcards=None) -> float:
    """Minutes after which a segment saves and ends: its slot, less the time to start and save."""
    return slot(config, step, wildcards) - config["train"]["time_margin"]


def shutdown_timeout(config: Config) -> int:
    """Seconds that torchrun leaves its ranks after a signal; by itself it would leave 30."""
    return round(config["train"]["time_margin"] * 30)


def world(config: Config, step: str, wildcards) -> tuple[int, int]:
    """GPUs and nodes of a job; of training, as the configuration has them."""
    if step == "train_vae":
        return config["vae_training"]["gpus"], config["vae_training"]["nodes"]
    if step != "train":
        return config["resources"][step].get("gpu", 0), 1
    train = _training(config, wildcards)
    return train["gpus"], train["nodes"]


def _training(config: Config, wildcards) -> dict[str, Any]:
    return config["backbones"][config["models"][wildcards.model]["backbone"]]["train"]


def request(config: Config, step: str, wildcards) -> dict[str, Any]:
    """Partition, GPUs, nodes and launch line of one job.

    The traps: `gpu` together with `gres` asks twice; `--gpus` counts over all nodes and `gres`
    on each; a GPU job without `nodes` may get its GPUs on several; `tasks` alone would become
    --ntasks-per-gpu, hence `tasks_per_gpu: 0`; the mere presence of `mpi` makes the job start
    on its first node without srun, which the launch line then calls.
    """
    gpus, nodes = world(config, step, wildcards)
    site = config["site"]
    partition = site.get("gpu_partition" if gpus else "cpu_partition")
    job = {"slurm_partition": partition, "launch": launch(config, step, wildcards)}
    if not gpus:
        return job
    model = site.get("gpu_model")
    if nodes == 1 and site["gpu_request"] == "gpu":
        return job | {"gpu": gpus, "gpu_model": model, "nodes": 1}
    job["gres"] = ":".join(["gpu", *([model] if model else []), str(gpus // nodes)])
    if nodes == 1:
        return job | {"nodes": 1}
    return job | {"nodes": nodes, "mpi": "srun", "tasks": nodes, "tasks_per_gpu": 0}


def launch(config: Config, step: str, wildcards) -> str:
    """What starts a script: python, or torchrun, once on each node.

    On one node outside SLURM, scripts/on_gpus.py first takes GPUs that no other job has. Ranks
    share the job's cores: Snakemake's OMP_NUM_THREADS, all of them, is not for each. After a signal
    they have half of train.time_margin to save.
    """
    cores, (gpus, nodes) = threads(config, step, wildcards), world(config, step, wildcards)
    ranks = max(gpus // nodes, 1)
    share = f"env OMP_NUM_THREADS={max(cores // ranks, 1)}"
    if ranks > 1:  # else torchrun kills its ranks 30 s after a signal, in the middle of a save
        share += f" TORCH_ELASTIC_SHUTDOWN_TIMEOUT={shutdown_timeout(config)}"
    if nodes > 1:
        torchrun = (
            f"exec {share} torchrun --nnodes {nodes} --nproc-per-node {gpus // nodes}"
            " --node-rank $SLURM_NODEID --master-addr $SLURM_LAUNCH_NODE_IPADDR"
            ' --master-port $((20000 + SLURM_JOB_ID % 20000)) "$0" "$@"'
        )
        srun = f"srun --nodes {nodes} --ntasks {nodes} --cpus-per-task {cores}"
        return f"{srun} --kill-on-bad-exit bash -c '{torchrun}'"
    if gpus == 0:
        return "python"
    start = f"{share} torchrun --standalone --nproc-per-node {gpus}" if gpus > 1 else "python"
    return f"python scripts/on_gpus.py {gpus} {start}"
