"""torch.compile of a transformer, for training and sampling."""

from torch import nn

from diffusion4k.errors import UserError


def compile_transformer(transformer: nn.Module | None) -> None:
    """Compile in place, block by block: one block's code does for all that are alike.

    The first step of each size is slow. diffusers names the repeated blocks of some models; SD3's
    are its `transformer_blocks`. A model without either is compiled as a whole.
    """
    if not isinstance(transformer, nn.Module):
        raise UserError("--compile: this pipeline has no transformer to compile; leave it out")
    if getattr(transformer, "_repeated_blocks", None):
        transformer.compile_repeated_blocks()
    else:
        for block in getattr(transformer, "transformer_blocks", [transformer]):
            block.compile()
