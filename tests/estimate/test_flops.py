"""The FLOP model against torch's own count of the real classes, and against the known figures."""

import pytest
import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel, SD3Transformer2DModel
from torch.utils.flop_counter import FlopCounterMode

from diffusion4k import backbones
from diffusion4k.backbones.architecture import VAE
from diffusion4k.estimate import flops
from diffusion4k.sources.miniature import architectures as miniature
from diffusion4k.vae.f16 import make_f16

RELEASED = {name: backbones.get(name).architecture for name in backbones.NAMES}
CLASSES = {"sd3": SD3Transformer2DModel, "flux": FluxTransformer2DModel}
HEIGHT, WIDTH, T5_TOKENS = 256, 384, 13


def counted(function) -> int:
    counter = FlopCounterMode(display=False)
    with counter:
        function()
    return counter.get_total_flops()


def prediction(name: str, transformer):
    """A call of the transformer for one picture of HEIGHT x WIDTH px."""
    torch.manual_seed(0)
    architecture = miniature.MINIATURE[name]
    config, image = architecture.transformer, flops.tokens(HEIGHT, WIDTH)
    text = architecture.clip_tokens + T5_TOKENS
    inputs = {
        "hidden_states": torch.randn(1, 16, HEIGHT // 16, WIDTH // 16),
        "encoder_hidden_states": torch.randn(1, text, config["joint_attention_dim"]),
        "pooled_projections": torch.randn(1, config["pooled_projection_dim"]),
        "timestep": torch.tensor([0.5]),
    }
    if name == "flux":
        inputs |= {
            "hidden_states": torch.randn(1, image, 64),
            "guidance": torch.tensor([3.5]),
            "img_ids": torch.zeros(image, 3),
            "txt_ids": torch.zeros(text, 3),
        }
    return lambda: transformer(**inputs).sample


@pytest.mark.parametrize("name", CLASSES)
def test_a_prediction_is_counted_exactly_and_a_training_step_within_two_percent(name):
    architecture = miniature.MINIATURE[name]
    transformer = CLASSES[name](**architecture.transformer).train()
    predict = prediction(name, transformer)
    forward = flops.forward(
        backbones.get(name), architecture, height=HEIGHT, width=WIDTH, t5_tokens=T5_TOKENS
    )
    assert counted(predict) == forward
    for recompute in (False, True):
        if recompute:
            transformer.enable_gradient_checkpointing()
        step = counted(lambda: predict().mean().backward())
        assert step == pytest.approx(flops.training(forward, recompute=recompute), rel=0.02)


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize(
    ("factor", "form"), [(8, ""), (16, "folded"), (16, "upsample"), (16, "published")]
)
def test_the_vae_is_counted_exactly(factor, form, attention):
    config = miniature.VAE | {"mid_block_add_attention": attention}
    vae = AutoencoderKL(**config).eval().requires_grad_(False)
    if factor == 16:
        make_f16(vae, decoder=form)
    size = {"height": 64, "width": 96, "factor": factor}
    pixels, latent = torch.randn(1, 3, 64, 96), torch.randn(1, 16, 64 // factor, 96 // factor)
    assert counted(lambda: vae.encode(pixels)) == flops.encode(config, **size)
    assert counted(lambda: vae.decode(latent)) == flops.decode(config, **size, form=form)


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("architectures", [RELEASED, miniature.MINIATURE])
def test_parameters(architectures, name):
    with torch.device("meta"):
        transformer = CLASSES[name](**architectures[name].transformer)
    assert sum(p.numel() for p in transformer.parameters()) == architectures[name].parameters


@pytest.mark.parametrize(
    ("name", "size", "t5_tokens", "tera"),
    [
        ("sd3", 4096, 77, 62.8),
        ("flux", 4096, 512, 418.1),
        ("flux", 4096, 77, 402.3),
        ("flux", 2048, 512, 74.4),
    ],
)
def test_full_size_transformers(name, size, t5_tokens, tera):
    backbone = backbones.get(name)
    count = flops.forward(
        backbone, backbone.architecture, height=size, width=size, t5_tokens=t5_tokens
    )
    assert count / 1e12 == pytest.approx(tera, abs=0.05)


@pytest.mark.parametrize("name", CLASSES)
def test_attention_is_counted_exactly(name):
    architecture = miniature.MINIATURE[name]
    counter = FlopCounterMode(display=False)
    with counter:
        prediction(name, CLASSES[name](**architecture.transformer))()
    counts = counter.get_flop_counts()["Global"].items()
    found = sum(count for op, count in counts if "scaled_dot_product" in str(op))
    shape = {"height": HEIGHT, "width": WIDTH, "t5_tokens": T5_TOKENS}
    assert flops.attention(backbones.get(name), architecture, **shape) == found


def test_the_full_size_vae():
    size = {"height": 4096, "width": 4096}
    found = [flops.encode(VAE, **size), flops.decode(VAE, **size, form="upsample")]
    found += [flops.encode(VAE, **size, factor=8), flops.decode(VAE, **size, factor=8)]
    assert [value / 1e12 for value in found] == pytest.approx([26.1, 48.6, 210, 300], rel=0.003)
