"""What only a job can tell: does a compute node see this folder, this environment, its GPU?"""

import importlib
import json
import os
import shlex
import shutil
import socket
import time
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path

from diffusion4k.cluster import slurm, submission
from diffusion4k.cluster.finding import Finding
from diffusion4k.config.resolve import Config
from diffusion4k.config.training import for_backbone
from diffusion4k.dag import train as training
from diffusion4k.errors import UserError
from diffusion4k.files import write_text

# what the longest jobs import; the rest is imported by the way
MODULES = ("torch", "diffusers", "accelerate", "transformers", "safetensors", "pyarrow")
LITTLE = {"mem_mb": 4000, "runtime": 10}


def on_node(token: Path, output: Path, look: Collection[str]) -> None:
    """Inside the job: look for `environment`, `gpu`, `compiler`, and write what was seen."""
    node = os.environ.get("SLURMD_NODENAME", socket.gethostname())
    seen: dict = {"host": node, "token": token.is_file(), "faults": []}
    if "compiler" in look:
        compiler = shlex.split(os.environ.get("CXX") or "c++")[0]  # torch's choice
        seen["lacks"] = [name for name in (compiler, "ninja") if shutil.which(name) is None]
    for name in MODULES if "environment" in look else ():
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken library raises what it likes
            seen["faults"].append(f"import {name}: {type(error).__name__}: {error}")
    if "gpu" in look and not seen["faults"]:
        import torch

        seen["torch"] = torch.__version__
        if torch.cuda.is_available():
            seen["gpu"] = torch.cuda.get_device_name()
            torch.ones(2, device="cuda").sum().item()
    write_text(output, json.dumps(seen) + "\n")


def examine(
    config: Config, folder: Path, patience: float, conda: bool = False
) -> Iterator[Finding]:
    """Send a small job to each kind of node and say what it saw; waits `patience` seconds.

    `conda`: jobs will run in environments that Snakemake makes; only the folder is looked at.
    """
    asks = {"node": ("texture", ["environment"])}
    if config["resources"]["generate"].get("gpu"):
        asks["GPU node"] = ("generate", ["environment", "gpu"])
        of = (config["models"][model]["backbone"] for model in training.trained(config))
        if any(for_backbone(config, backbone)["offload_optimizer"] for backbone in of):
            asks["GPU node"][1].append("compiler")
    if conda:
        asks = {what: (step, []) for what, (step, _) in asks.items()}
    home = folder / ".snakemake"
    home.mkdir(exist_ok=True)
    token = home / f"doctor-{uuid.uuid4().hex}"
    token.touch()
    try:
        sent = {what: _send(config, folder, *request, token) for what, request in asks.items()}
        end = time.monotonic() + patience
        for what, (job, output) in sent.items():
            yield from _await(what, job, output, end, asks[what][1])
    except UserError as error:
        yield Finding(False, "a job", str(error))
    finally:
        for path in home.glob(f"{token.name}*"):
            path.unlink()


def _send(
    config: Config, folder: Path, step: str, look: list[str], token: Path
) -> tuple[str, Path]:
    output = token.with_name(f"{token.name}-{step}.json")
    request = submission.Asked(submission.asked(config, step) | LITTLE)
    script = f"python scripts/doctor.py --probe {token} --output {output} --look {' '.join(look)}"
    line = submission.sbatch(request, 1, folder, f"--wrap={script}")
    return slurm.ask(*line).strip().split(";")[0], output


def _await(what: str, job: str, output: Path, end: float, look: list[str]) -> Iterator[Finding]:
    log = output.parent / f"doctor-{job}.log"
    while not output.exists():
        line = slurm.ask("squeue", "-h", "-t", "all", "-j", job, "-o", "%T|%r").strip()
        state, _, reason = line.partition("|")
        if state not in slurm.ACTIVE:
            time.sleep(2)  # a shared file system may show the file late
            if not output.exists():
                yield _nothing(what, job, state, log)
                return
        elif time.monotonic() > end:
            slurm.ask("scancel", job)
            yield Finding(
                False, what, f"job {job} did not run in time ({state}, {reason}); try again later, "
                "or --patience SECONDS"
            )  # fmt: skip
            return
        time.sleep(0.5)
    seen = json.loads(output.read_text(encoding="utf-8"))
    log.unlink(missing_ok=True)
    yield from read(what, seen, look)


def _nothing(what: str, job: str, state: str, log: Path) -> Finding:
    try:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    except OSError:
        last = []
    ending = f"; its log ends: {last[0]}" if last else "; it left no log"
    return Finding(
        False, what,
        f"job {job} ended ({state or 'gone'}) and wrote nothing here{ending}; this folder and its "
        "environment must lie on a file system that compute nodes share",
    )  # fmt: skip


def read(what: str, seen: dict, look: Collection[str]) -> Iterator[Finding]:
    """Findings from what a job saw."""
    if not seen["token"]:
        yield Finding(
            False, what, f"{seen['host']} does not see files written here; move the checkout to a "
            "shared file system"
        )  # fmt: skip
        return
    if "compiler" in look:
        yield _compiler(seen["host"], seen["lacks"])
    if seen["faults"]:
        yield Finding(
            False, what, f"{seen['host']}: {seen['faults'][0]}; make the environment again there "
            "(make env), or run with --sdm conda"
        )  # fmt: skip
        return
    if "gpu" in look and "gpu" not in seen:
        yield Finding(
            False, what, f"{seen['host']}: torch {seen['torch']} sees no CUDA; its build must fit "
            "the node's driver (nvidia-smi), or the job got no GPU (site.gpu_request: gres)"
        )  # fmt: skip
        return
    extent = "; environments of --sdm conda were not probed"
    if "environment" in look:
        extent = ", the environment" + (f" and {seen['gpu']}" if "gpu" in look else "")
    yield Finding(True, what, f"{seen['host']} sees this folder{extent}")


def _compiler(host: str, lacks: list[str]) -> Finding:
    if not lacks:
        return Finding(True, "compiler", f"{host} has one, and ninja, for DeepSpeed's CPU Adam")
    hint = "load a gcc module (CXX may name its compiler) in the shell that starts snakemake"
    if lacks == ["ninja"]:
        hint = "make the environment again (make env)"
    return Finding(
        False, "compiler",
        f"{host} has no {' and no '.join(lacks)}: training builds DeepSpeed's CPU Adam there; "
        f"{hint}, or set train.offload_optimizer: false",
    )  # fmt: skip
