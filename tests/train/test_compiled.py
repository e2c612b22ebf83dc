"""Training with torch.compile: its gradients are the same, what is recomputed and kept as well."""

import copy

import pytest
import torch

import tiny
from diffusion4k import backbones
from diffusion4k.pipelines.compilation import compile_transformer
from diffusion4k.train.model import dense_gradients, recompute

pytestmark = pytest.mark.long  # a minute of compiling


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_a_compiled_step_is_the_step(name):
    """With all that a training on a GPU may ask for: attention kept, its gradients dense."""
    torch.manual_seed(0)
    network = getattr(tiny, f"{name}_transformer")().train()
    recompute(network, keep_attention=True)
    dense_gradients(network)
    compiled = copy.deepcopy(network)
    recompute(compiled, keep_attention=True)
    compile_transformer(compiled)
    text = (torch.randn(1, 12, 32), torch.randn(1, network.config.pooled_projection_dim))
    latents, t = torch.randn(1, 16, 8, 8), torch.tensor([0.5])
    for one in (network, compiled):
        for _ in range(2):
            one.zero_grad()
            velocity = backbones.get(name).velocity(one, latents, t, *text, 3.5)
            velocity.square().mean().backward()
    moved = 0
    for (key, one), two in zip(network.named_parameters(), compiled.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(two.grad, one.grad, rtol=1e-4, atol=1e-6, msg=key)
            moved += one.grad.abs().sum() > 0
    assert moved > 20
