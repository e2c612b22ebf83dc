"""Training with torch.compile: its gradients are the same, what is recomputed and kept as well."""

import copy

import pytest
import torch
from functorch.compile import make_boxed_func
from torch._dynamo.backends.common import aot_autograd

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


def layouts(network, inputs) -> set[tuple[int, ...]]:
    """Strides of the gradients that attention gets in the backward graphs of a network's blocks."""
    seen = set()

    def backward(graph, _):
        kernels = (n for n in graph.graph.nodes if "scaled_dot_product" in str(n.target))
        seen.update(n.args[0].meta["val"].stride() for n in kernels if "backward" in str(n.target))
        return make_boxed_func(graph.forward)

    forward = aot_autograd(
        fw_compiler=lambda graph, _: make_boxed_func(graph.forward), bw_compiler=backward
    )
    for block in (*network.transformer_blocks, *network.single_transformer_blocks):
        block.compile(backend=forward)
    backbones.get("flux").velocity(network, *inputs).square().mean().backward()
    return seen


@pytest.mark.parametrize("keep", [False, True])
def test_compiled_blocks_hand_attention_gradients_of_one_layout(keep):
    """What Inductor makes of these graphs keeps the strides of a kernel's inputs."""
    found = {}
    for dense in (False, True):
        torch._dynamo.reset()
        network = tiny.flux_transformer().train()
        recompute(network, keep_attention=keep)
        if dense:
            dense_gradients(network)
        text = (torch.randn(1, 12, 32), torch.randn(1, network.config.pooled_projection_dim))
        found[dense] = layouts(network, (torch.randn(1, 16, 8, 8), torch.tensor([0.5]), *text, 3.5))
    assert len(found[True]) == 1
    assert len(found[False]) == 2, "needed no longer?"
