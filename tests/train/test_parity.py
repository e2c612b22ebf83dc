"""Ours against the released code, on one miniature batch with its randomness injected.

golden/released.safetensors was computed by the released code itself (released.py says how): one
training step of each backbone, the partitioned decoder, and the sampler. Reproduced with their
bugs: SD3's latent shift stays in (sd3_latent_shift), the decoder's picture is moved by one pixel
(decoder_partition).
"""

import dataclasses

import pytest
import torch
from safetensors.torch import load_file

import parity
import tiny
from diffusion4k import backbones
from diffusion4k.generate import sampler
from diffusion4k.latents.encode import posterior
from diffusion4k.train import step
from diffusion4k.train.samples import Header
from diffusion4k.train.settings import Settings
from diffusion4k.vae.f16 import make_f16, make_pipeline_f16

PUBLISHED = {
    "sd3": {"subtract_shift": False, "guidance": 0.0},
    "flux": {"subtract_shift": True, "guidance": parity.GUIDANCE["flux"]},
}


@pytest.fixture(scope="module")
def golden():
    torch.set_num_threads(1)
    return load_file(parity.GOLDEN)


def inputs(name):
    """The batch as our loader gives it: the posterior drawn with the injected eps."""
    batch = parity.batch(name)
    vae = make_f16(parity.fill(tiny.vae(*parity.VAE[name])))
    # `posterior` takes uint8; the injected pixels are continuous
    with torch.no_grad():
        found = vae.encode(batch.pop("pixels")).latent_dist
    z = found.mean + torch.exp(0.5 * found.logvar) * batch.pop("eps")
    return batch | {"z": z}


def our_step(name, **changes):
    """Loss and gradients by name of our step in `published` mode, but for `changes`."""
    transformer, side = parity.transformer(name).train(), parity.SIZE // 16
    settings = Settings(
        backbone=name, global_batch=2, micro_batch=2, objective="wavelet_x0", **PUBLISHED[name]
    )
    loss, _ = step.loss(
        backbones.get(name),
        transformer,
        inputs(name),
        dataclasses.replace(settings, **changes),
        Header(name, *parity.VAE[name], side, side),
        3.0,
        torch.float32,
    )
    loss.backward()
    return loss.detach(), {n: p.grad for n, p in transformer.named_parameters()}


@pytest.mark.parametrize("name", parity.NAMES)
def test_the_training_step_is_the_released_one(golden, name):
    loss, gradients = our_step(name)
    torch.testing.assert_close(loss, golden[f"{name}.loss"], rtol=1e-5, atol=0)
    released = {
        key.removeprefix(f"{name}.gradient."): value
        for key, value in golden.items()
        if key.startswith(f"{name}.gradient.")
    }
    assert released.keys() == gradients.keys()
    scale = max(value.abs().max() for value in released.values())
    for key, value in released.items():
        torch.testing.assert_close(gradients[key], value, rtol=1e-4, atol=1e-6 * scale.item())
    off = sum((gradients[k] - v).square().sum() for k, v in released.items()).sqrt()
    assert off < 1e-5 * sum(v.square().sum() for v in released.values()).sqrt()


@pytest.mark.parametrize("name", parity.NAMES)
def test_noise_levels_by_hand(golden, name):
    """floor(1000 u) into the descending schedule; SD3's is shifted by 3, Flux's is not."""
    index = [314, 876]
    plain = [(1000 - i) / 1000 for i in index]
    by_hand = [3 * s / (1 + 2 * s) for s in plain] if name == "sd3" else plain
    torch.testing.assert_close(golden[f"{name}.sigma"].flatten(), torch.tensor(by_hand))
    ours = backbones.get(name).sigmas(parity.U, image_tokens=16, shifted=False, schedule_shift=3.0)
    torch.testing.assert_close(ours, torch.tensor(by_hand))


@pytest.mark.parametrize("name", parity.NAMES)
def test_noisy_latents_by_hand(golden, name):
    batch, (scaling, shift) = inputs(name), parity.VAE[name]
    x0 = batch["z"] * scaling if name == "sd3" else (batch["z"] - shift) * scaling
    sigma = golden[f"{name}.sigma"]
    by_hand = x0 + sigma * (batch["noise"] - x0)
    torch.testing.assert_close(by_hand, golden[f"{name}.noisy"], rtol=1e-5, atol=1e-5)


def test_the_shift_left_in_is_what_differs_from_the_corrected_step(golden):
    corrected, _ = our_step("sd3", subtract_shift=True)
    assert abs(corrected - golden["sd3.loss"]) > 1e-4 * golden["sd3.loss"]


@pytest.mark.parametrize("name", parity.NAMES)
def test_the_published_decoder_is_the_released_one(golden, name):
    vae = make_f16(parity.fill(tiny.vae(*parity.VAE[name])), decoder="published")
    with torch.no_grad():
        ours = vae.decode(parity.draw("latent", 1, 16, 4, 6)).sample
    torch.testing.assert_close(ours, golden[f"{name}.decoded"], rtol=1e-5, atol=1e-6)
    make_f16(vae, decoder="folded")
    with torch.no_grad():
        exact = vae.decode(parity.draw("latent", 1, 16, 4, 6)).sample
    assert (exact - ours).abs().max() > 0.01
    torch.testing.assert_close(ours[..., 1:, 1:], exact[..., :-1, :-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", parity.NAMES)
def test_the_sampler_ends_where_the_released_one_does(golden, name):
    """A picture of three steps from seed 0, the noise drawn on the CPU, the decoder published."""
    pipeline = make_pipeline_f16(parity.pipeline(name), decoder="published")
    settings = sampler.SamplerSettings(
        height=parity.SIZE,
        width=parity.SIZE,
        steps=parity.STEPS,
        guidance=parity.GUIDANCE[name],
        t5_tokens=parity.TOKENS,
    )
    ours = sampler.sample(pipeline, backbones.get(name), parity.PROMPT, 0, settings)
    released = (golden[f"{name}.sampled"][0] * 255).round()
    assert released.std() > 10
    # a value halfway between two levels may round either way
    torch.testing.assert_close(torch.tensor(ours).float(), released, rtol=0, atol=1)


def test_posterior_takes_the_pixels_that_images_hold():
    vae = make_f16(tiny.vae())
    pixels = torch.arange(256, dtype=torch.uint8).repeat(48).reshape(1, 3, 64, 64)
    mean, _ = posterior(vae, pixels)
    with torch.no_grad():
        expected = vae.encode(pixels.float() / 127.5 - 1).latent_dist.mean
    torch.testing.assert_close(mean, expected)
