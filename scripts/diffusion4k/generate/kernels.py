"""Attention kernels and compilation: faster sampling that may move a picture's last bits.

So they are choices of the run, recorded in the manifest, and not of the machine: a kernel is taken
by its place in a fixed order and never by a stopwatch, or two shards could differ.
"""

import torch
from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn
from torch import nn

from diffusion4k.pipelines.compilation import compile_transformer

NATIVE = "native"  # torch's scaled_dot_product_attention, which picks a kernel by itself
# the fastest first; those that are not installed, or do not run on the device, are passed over
ORDER = ("_flash_3", "flash", "_native_cudnn")


def prepare(pipeline, *, attention: str, compiled: bool) -> dict[str, str | bool]:
    """Set up a loaded pipeline's transformer; what is in use, for the manifest.

    attention: "native" (nothing changes) or "auto", the first of ORDER that works here. `compiled`:
    torch.compile, block by block where the model says which blocks repeat. UserError for a
    pipeline without a transformer that is asked to compile.
    """
    transformer = getattr(pipeline, "transformer", None)
    used = {"attention": NATIVE, "compile": compiled}
    if attention == "auto" and switchable(transformer):
        # where it will compute: offloaded, the transformer itself lies in the CPU's memory yet
        head = getattr(transformer.config, "attention_head_dim", None) or 64
        device = pipeline._execution_device
        used["attention"] = choose(device, transformer.dtype, head)
        if used["attention"] != NATIVE:
            transformer.set_attention_backend(used["attention"])
    if compiled:
        compile_transformer(transformer)
    return used


def choose(device: torch.device, dtype: torch.dtype, head: int) -> str:
    """The first of ORDER that computes attention of this head size here in this dtype; else NATIVE.

    `device` is where the transformer computes, `head` the channels of one of its attention heads.
    """
    query = torch.randn(1, 128, 2, head, device=device, dtype=dtype)
    expected = dispatch_attention_fn(query, query, query, backend=AttentionBackendName.NATIVE)
    for name in ORDER:
        try:
            actual = dispatch_attention_fn(query, query, query, backend=AttentionBackendName(name))
        except Exception:  # noqa: BLE001, S112 (each kernel has its own way of not being there)
            continue
        if torch.allclose(actual, expected, rtol=2e-2, atol=2e-2):
            return name
    return NATIVE


def switchable(transformer: nn.Module | None) -> bool:
    """Whether a transformer's attention goes through diffusers' dispatch: Flux's, not SD3's."""
    modules = transformer.modules() if isinstance(transformer, nn.Module) else ()
    processors = (getattr(module, "processor", None) for module in modules)
    return any(hasattr(processor, "_attention_backend") for processor in processors)
