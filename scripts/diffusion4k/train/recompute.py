"""Gradient checkpointing, of everything or of all but attention."""

from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

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
