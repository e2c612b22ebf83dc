"""The networks of a training: the transformer as it is trained, the VAE of online latents."""

import json
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from diffusion4k.damage import loading
from diffusion4k.errors import UserError
from diffusion4k.pipelines.attention import switch
from diffusion4k.pipelines.compilation import compile_transformer
from diffusion4k.train.samples import Header
from diffusion4k.train.settings import Settings
from diffusion4k.vae.f16 import load_f16

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# the kernels that scaled_dot_product_attention calls
ATTENTION = [
    getattr(torch.ops.aten, f"_scaled_dot_product_{kernel}").default
    for kernel in (
        "flash_attention",
        "cudnn_attention",
        "efficient_attention",
        "flash_attention_for_cpu",
    )
]


def transformer(settings: Settings, backbone, root: Path) -> tuple[nn.Module, torch.dtype]:
    """The transformer of the pipeline `root` in training mode, and the dtype of its weights."""
    # DeepSpeed keeps fp32 master weights in its optimizer, adamw_8bit_bf16 has none; else the
    # model has them itself
    low = settings.precision == "bfloat16" and (settings.zero_stage or settings.in_backward)
    dtype = torch.bfloat16 if low else torch.float32
    with loading(root / "transformer", "a transformer that diffusers can load"):
        network = backbone.load_transformer(root, dtype).train()
    if settings.gradient_checkpointing:
        recompute(network, keep_attention=settings.keep_attention)
    choose_attention(network, settings.attention)
    if settings.compile:
        compile_transformer(network)
    return network, dtype


def choose_attention(transformer: nn.Module, name: str) -> None:
    """`flash`: PyTorch takes none of cuDNN's kernels by itself. `cudnn`: the transformer does.

    Left to PyTorch, cuDNN 9.19 (torch 2.11) reads outside its memory in the backward pass of Flux
    at 4096 px on an H200 (docs/gpu.md). Likely, by its source: that PyTorch keeps a plan of the
    backward pass by the layout of query, key and value, and not by that of the output's gradient,
    which in Flux's single blocks is a part of a wider tensor; its double blocks read by their plan.
    So all gradients get one layout here, and by diffusers' `_native_cudnn` all inputs. UserError
    without a GPU.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)
    if name == "cudnn":
        if not torch.cuda.is_available():
            raise UserError("--attention cudnn: torch sees no GPU here; use --attention flash")
        switch(transformer, "_native_cudnn")
        dense_gradients(transformer)


def dense_gradients(transformer: nn.Module) -> None:
    """Hand each attention's kernel a dense gradient of its output, (B, N, d), a copy if need be."""
    for module in transformer.modules():
        if hasattr(module, "processor"):
            module.register_forward_hook(_with_dense_gradient)


class _DenseGradient(torch.autograd.Function):
    """The identity on a tensor of any shape and dtype, whose gradient is dense."""

    @staticmethod
    def forward(ctx, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> torch.Tensor:
        return gradient.contiguous()


def _with_dense_gradient(module: nn.Module, inputs, output):
    """Attention's own output; where a pair comes out, a linear layer has made it dense already."""
    return _DenseGradient.apply(output) if isinstance(output, torch.Tensor) else output


def recompute(transformer: nn.Module, *, keep_attention: bool) -> None:
    """Recompute each block's activations in the backward pass (gradient checkpointing).

    `keep_attention` keeps the outputs of attention instead: at 4096 px nearly half of a block's
    arithmetic, for tokens x width x 2 bytes a block and picture (Flux: 5.8 GB). Gradients are the
    same bit for bit.
    """
    contexts = partial(create_selective_checkpoint_contexts, ATTENTION)

    def selective(block: nn.Module, *args):
        return checkpoint(block.__call__, *args, use_reentrant=False, context_fn=contexts)

    transformer.enable_gradient_checkpointing(selective if keep_attention else None)


def trained(module: nn.Module, dtype: torch.dtype, *, zero: bool, keep: bool) -> nn.Module:
    """What was trained, in `dtype`, in its own place: nothing trains it after this.

    Where ZeRO shares out the fp32 master weights of a bf16 network, dtype float32 means those; then
    every process must call this, and those with `keep` get them, in CPU memory.
    """
    if zero and dtype == torch.float32 and next(module.parameters()).dtype != dtype:
        from deepspeed.utils import safe_get_full_fp32_param

        for parameter in module.parameters():
            master = safe_get_full_fp32_param(parameter)
            if keep:
                parameter.data = master.cpu()
    # torch's own `to`: diffusers' prints advice on modules that these models do not have
    return torch.nn.Module.to(module, dtype) if keep else module


def vae(header: Header, root: Path, device) -> nn.Module | None:
    """The F16 VAE that encodes online latents; None for stored ones."""
    if not header.online:
        return None
    return load_f16(root, dtype=DTYPES[header.dtype], device=device, encoder=header.encoder)


def schedule_shift(root: Path) -> float:
    """The shift of the pipeline's scheduler: SD3 3.0."""
    path = root / "scheduler" / "scheduler_config.json"
    try:
        return float(json.loads(path.read_text(encoding="utf-8")).get("shift", 1.0))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}; --pipeline must be a diffusers pipeline") from None
