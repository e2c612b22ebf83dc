"""The miniature's transformers, grown for a GPU."""

import diffusers
import pytest
import torch

from diffusion4k import backbones
from diffusion4k.sources.miniature import architectures


@pytest.mark.parametrize("name", architectures.MINIATURE)
def test_it_is_wider_and_deeper_by_the_growth(name):
    one, four = (architectures.grown(name, growth) for growth in (1, 4))
    assert one == architectures.MINIATURE[name]
    with torch.device("meta"):
        made = getattr(diffusers, backbones.get(name).transformer_class)(**four.transformer)
    heads = one.transformer["num_attention_heads"] * one.transformer["attention_head_dim"]
    assert made.inner_dim == 4 * heads
    assert len(made.transformer_blocks) == 4 * one.transformer["num_layers"]
    count = sum(parameter.numel() for parameter in made.parameters())
    assert count == pytest.approx(four.parameters, rel=0.25)
