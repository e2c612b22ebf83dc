"""The processes of a training: one, DDP, or DeepSpeed ZeRO, on CUDA or on the CPU."""

import math
import os
import socket
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator, DeepSpeedPlugin
from accelerate.utils import AutocastKwargs, InitProcessGroupKwargs

from diffusion4k.errors import UserError
from diffusion4k.manifest import Manifest
from diffusion4k.train.settings import Settings

# Ranks wait for the first while it writes, syncs and hashes what a segment ends with: for Flux
# about 200 GB, more than the ten minutes after which torch gives up.
GROUP_TIMEOUT = timedelta(hours=3)
LONGEST = 2**31  # the length of a tensor that bitsandbytes cannot express


def accelerator_for(settings: Settings, processes: int) -> Accelerator:
    """An Accelerator for one of `processes`; UserError when the launch does not fit.

    Launched wrongly, torch runs independent copies that overwrite each other's checkpoints; hence
    the check.
    """
    cuda = torch.cuda.is_available()
    repeatable(settings.deterministic)
    options: dict = {
        "gradient_accumulation_steps": settings.accumulation(processes),
        "mixed_precision": "bf16" if settings.precision == "bfloat16" else "no",
        # a cache would hold each weight once more in bf16 until the forward pass ends (Flux: 24 GB)
        # for reuse, and each is used once
        "kwargs_handlers": [AutocastKwargs(cache_enabled=False)],
    }
    if settings.zero_stage or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        backend = "nccl" if cuda else "gloo"
        group = InitProcessGroupKwargs(backend=backend, timeout=GROUP_TIMEOUT)
        options["kwargs_handlers"].append(group)
    if settings.zero_stage:
        _ensure_process_group_environment()
        options["deepspeed_plugin"] = DeepSpeedPlugin(hf_ds_config=_zero(settings, processes))
    else:
        options["cpu"] = not cuda
    accelerator = Accelerator(**options)
    # the launcher's environment variable would win over ours, and change the global batch
    accelerator.gradient_accumulation_steps = settings.accumulation(processes)
    kind = accelerator.distributed_type.value
    if accelerator.num_processes != processes or (settings.zero_stage and kind != "DEEPSPEED"):
        raise UserError(
            f"--processes {processes}, but {accelerator.num_processes} started ({kind}); launch "
            f"with `torchrun --standalone --nproc_per_node={processes} scripts/train.py …`"
            " (of a VAE scripts/train_vae.py)"
        )
    return accelerator


def optimizer_for(settings: Settings, parameters) -> torch.optim.Optimizer:
    """AdamW with fp32 states, with bitsandbytes' 8-bit ones, or with these in the backward pass.

    On GPUs AdamW is torch's fused kernel: the default one would take a buffer as large as the
    weights. With offloading accelerate puts DeepSpeed's CPU Adam, of fp32 states, in its place.
    """
    options = {
        "lr": settings.learning_rate,
        "betas": (settings.beta1, settings.beta2),
        "eps": settings.epsilon,
        "weight_decay": settings.weight_decay,
    }
    if settings.optimizer == "adamw":
        fused = torch.cuda.is_available() and not settings.offload_optimizer
        return torch.optim.AdamW(parameters, fused=fused or None, **options)
    if settings.in_backward:
        from diffusion4k.train.in_backward import AdamW8bitInBackward

        return AdamW8bitInBackward(parameters, seed=settings.seed, **options)
    from bitsandbytes.optim import AdamW8bit

    return AdamW8bit(parameters, **options)


def clip(accelerator: Accelerator, settings: Settings, parameters, optimizer) -> torch.Tensor:
    """Clip the gradient where the settings say so; its norm before that, () float32."""
    if settings.in_backward:  # no gradient is left
        return optimizer.optimizer.gradient_norm()
    return accelerator.clip_grad_norm_(parameters, settings.clip or math.inf)


def refuse_too_long(settings: Settings, transformer: torch.nn.Module, processes: int) -> None:
    """UserError where 8-bit AdamW would miscount: ZeRO hands it each process's share as one tensor.

    bitsandbytes passes a tensor's length on as a 32-bit integer, and would train a part or nothing.
    """
    share = sum(parameter.numel() for parameter in transformer.parameters()) / processes
    if settings.optimizer == "adamw_8bit" and settings.zero_stage and share >= LONGEST:
        raise UserError(
            f"--optimizer adamw_8bit: takes fewer than 2^31 weights at once, and ZeRO would hand it"
            f" {share:.3g} on each of {processes} processes; use more GPUs, --zero-stage 0, or "
            "--optimizer adamw"
        )


def recount(optimizer) -> None:
    """Let a loaded DeepSpeed CPU Adam count its past steps one by one; others are left alone.

    It carries beta^step along as a product, but one that begins at a later step takes the power,
    which may differ in its last bit, and so would the weights.
    """
    while hasattr(optimizer, "optimizer"):  # accelerate's and ZeRO's wrappers
        optimizer = optimizer.optimizer
    if not hasattr(optimizer, "ds_opt_adam"):
        return
    (group,) = optimizer.param_groups
    nothing = [torch.zeros(1) for _ in range(4)]  # a weight, its gradient, two moments
    for step in range(1, int(optimizer.state[group["params"][0]]["step"]) + 1):
        optimizer.ds_opt_adam.adam_update(
            optimizer.opt_id, step, 0.0, *group["betas"], group["eps"], 0.0, True, *nothing
        )


def whole(accelerator: Accelerator, source: Manifest, *folders: str) -> Path:
    """The root of a manifest; UserError for a file in `folders` that is not what it means.

    The processes share the reading: Flux's state is 200 GB.
    """
    paths = source.within(*folders)
    source.sound(paths[accelerator.process_index :: accelerator.num_processes])
    return source.root


def repeatable(deterministic: bool) -> None:
    """Choose kernels that give the same bits each time, or let torch choose.

    Attention's backward pass then adds in one order, and cuBLAS has one workspace. An operation
    without such a kernel is torch's RuntimeError, which names it.
    """
    if deterministic:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # read when cuBLAS starts
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = False
    # NaN in all memory that is not written yet shows reads of it, of which there are none
    torch.utils.deterministic.fill_uninitialized_memory = not deterministic


def _zero(settings: Settings, processes: int) -> dict:
    offload = settings.offload_optimizer
    return {
        "train_micro_batch_size_per_gpu": settings.micro_batch,
        "gradient_accumulation_steps": settings.accumulation(processes),
        "gradient_clipping": settings.clip,
        "zero_allow_untested_optimizer": settings.optimizer == "adamw_8bit",
        "zero_optimization": {
            "stage": settings.zero_stage,
            "offload_optimizer": {"device": "cpu" if offload else "none"},
        },
        # bf16 would round the sum again with each micro-batch; offloading, DeepSpeed has no choice
        "data_types": {"grad_accum_dtype": None if offload else "fp32"},
    }


def _ensure_process_group_environment() -> None:
    """DeepSpeed wants a process group even of one; a launcher's own variables win."""
    if "LOCAL_RANK" in os.environ:
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
