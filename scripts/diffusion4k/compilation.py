"""torch.compile of a transformer, for training and sampling."""

from torch import nn

from diffusion4k.errors import UserError


def compile_transformer(transformer: nn.Module | None) -> None:
    """Compile in place. The first step of each size is slow; SD3 has no list of repeated blocks."""
    if not isinstance(transformer, nn.Module):
        raise UserError("--compile: this pipeline has no transformer to compile; leave it out")
    if getattr(transformer, "_repeated_blocks", None):
        transformer.compile_repeated_blocks()
    else:
        transformer.compile()
