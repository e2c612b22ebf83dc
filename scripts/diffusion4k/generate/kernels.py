"""Attention kernels and compilation: faster sampling that may move a picture's last bits.

So they are choices of the run, recorded in the manifest, and not of the machine: a kernel is taken
by its place in a fixed order and never by a stopwatch, or two shards could differ.
"""

import inspect
import os
import re

import torch
from diffusers.models import attention_dispatch as dispatch

from diffusion4k.errors import UserError
from diffusion4k.manifest import Manifest
from diffusion4k.pipelines.attention import switch, switchable
from diffusion4k.pipelines.compilation import compile_transformer

NATIVE = "native"  # torch's scaled_dot_product_attention, which picks a kernel by itself
# FlashAttention 3: from the hub through the package `kernels`, or built here. What torch picks by
# itself, cuDNN on a Hopper GPU, needs no place in this order.
ORDER = ("_flash_3_hub", "_flash_3")
REPOSITORY = dispatch._HUB_KERNELS_REGISTRY[dispatch.AttentionBackendName._FLASH_3_HUB].repo_id
NEAR = 0.02  # of what torch computes, in bfloat16


def prepare(
    pipeline, *, attention: str, compiled: bool, kernel: Manifest | None = None
) -> dict[str, str | bool]:
    """Set up a loaded pipeline's transformer; what is in use, for the manifest.

    attention: "native" (nothing changes), "flash_3", or "auto": that where it works, else native.
    `kernel`: FlashAttention 3 as it was fetched, in place of what the hub has now.
    `compiled`: torch.compile, block by block where the model says which blocks repeat. UserError
    for "flash_3" where it does not work, and for a pipeline without a transformer that is asked to
    compile.
    """
    transformer = getattr(pipeline, "transformer", None)
    used = {"attention": NATIVE, "compile": compiled}
    if kernel:
        take(kernel)
    if attention != NATIVE:
        reasons = ["this pipeline's attention cannot be chosen"]
        if switchable(transformer):
            # where it will compute: offloaded, the transformer itself lies in the CPU's memory yet
            head = getattr(transformer.config, "attention_head_dim", None) or 64
            device = pipeline._execution_device
            used["attention"], reasons = choose(device, transformer.dtype, head)
        if used["attention"] != NATIVE:
            switch(transformer, used["attention"])
            used |= version(used["attention"])
        elif attention != "auto":
            raise UserError(
                f"--attention {attention} (generate.attention): {'; '.join(reasons)}; it takes a"
                " Hopper GPU, 16-bit numbers and the package `kernels` (docs/gpu.md), or choose"
                " native"
            )
    if compiled:
        compile_transformer(transformer)
    return used


def take(kernel: Manifest) -> None:
    """Let the package `kernels` load FlashAttention 3 from what was fetched, as it was then.

    UserError for a file that is not what the manifest says: it is a program.
    """
    kernel.sound()
    os.environ["LOCAL_KERNELS"] = f"{REPOSITORY}={kernel.root}"


def choose(device: torch.device, dtype: torch.dtype, head: int) -> tuple[str, list[str]]:
    """The first of ORDER that computes attention of this head size here in this dtype; else NATIVE.

    And why those before it do not. `device` is where the transformer computes, `head` the channels
    of one of its attention heads.
    """
    query, reasons = torch.randn(1, 128, 2, head, device=device, dtype=dtype), []
    backend = dispatch.AttentionBackendName
    expected = dispatch.dispatch_attention_fn(query, query, query, backend=backend.NATIVE)
    for name in ORDER:
        try:
            with dispatch.attention_backend(name):  # which loads it, too
                actual = dispatch.dispatch_attention_fn(query, query, query)
        except Exception as error:  # noqa: BLE001 (each kernel has its own way of not being there)
            reasons.append(f"{name}: {str(error).partition(chr(10))[0][:200]}")
            continue
        if (actual - expected).abs().le(NEAR).all():
            return name, reasons
        reasons.append(f"{name}: computes something else than torch")
    return NATIVE, reasons


def version(name: str) -> dict[str, str]:
    """{"kernel": the commit of a kernel from the hub}, if that is where it comes from."""
    entry = dispatch._HUB_KERNELS_REGISTRY.get(dispatch.AttentionBackendName(name))
    if entry is None or entry.kernel_fn is None:
        return {}
    commit = re.search(r"snapshots/([0-9a-f]{40})/", inspect.getfile(entry.kernel_fn))
    return {"kernel": commit[1]} if commit else {}
