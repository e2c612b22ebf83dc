"""Sampling and encoding on a GPU that is none: the tensors of every network lie where it does."""

import numpy as np
import pytest
import torch
from diffusers.models import attention_dispatch as dispatch
from diffusers.models.attention_dispatch import _AttentionBackendRegistry as registry

from diffusion4k import backbones
from diffusion4k.generate import kernels, sampler
from diffusion4k.latents import encode
from diffusion4k.vae import f16
from fake_gpu import fake_gpu, networks, real, without

LOW = torch.bfloat16
WIDTHS = {"sd3": (154, 4096, 2048), "flux": (77, 4096, 768)}  # tokens, of the text, of the pooled
SIZES = pytest.mark.parametrize("quick", [True, False], ids=["small", "real"])
NAMES = pytest.mark.parametrize("name", backbones.NAMES)


@pytest.fixture
def pipeline():
    """Makes a backbone's pipeline, of small or real networks, inside `fake_gpu`."""

    def make(name: str, device, *, quick: bool):
        # the scheduler holds numbers, so it is real: made before the mode
        made = real(networks.pipeline)(name, "cpu", torch.float32, quick=True)
        if quick:
            return made.to(device, LOW)
        networks.full_size(name, made, device, LOW)
        return f16.make_pipeline_f16(made)

    return make


def settings(*, quick: bool) -> sampler.SamplerSettings:
    size, tokens = (64, 20) if quick else (4096, 77)
    return sampler.SamplerSettings(height=size, width=size, steps=1, guidance=7.0, t5_tokens=tokens)


@SIZES
@NAMES
def test_a_text_is_encoded_and_a_picture_sampled(pipeline, name, quick):
    """SD3 with both branches of guidance; what comes back from the GPU lies on the CPU."""
    how = settings(quick=quick)
    with fake_gpu() as device:
        made = pipeline(name, device, quick=quick)
        (text,) = sampler.encode(made, backbones.get(name), ["a cup of coffee"], how)
        sampler.drop_text_encoders(made)
        picture = sampler.sample(made, backbones.get(name), "a cup", 0, how, text=text)
    assert ("negative_prompt_embeds" in text) == (name == "sd3")
    assert {(value.device.type, value.dtype) for value in text.values()} == {("cpu", LOW)}
    assert picture.shape == (how.height, how.width, 3)
    if not quick:
        tokens, width, pooled = WIDTHS[name]
        assert text["prompt_embeds"].shape == (1, tokens, width)
        assert text["pooled_prompt_embeds"].shape == (1, pooled)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *((name, fault) for name in backbones.NAMES for fault in ("text", "transformer")),
        # Flux's pipeline looks where its encoders and VAE lie, and follows them
        *(("sd3", fault) for fault in ("vae", "text_encoder_2")),
    ],
)
def test_what_stays_behind_is_an_error(pipeline, monkeypatch, name, fault):
    how = settings(quick=True)
    with fake_gpu() as device:
        made = pipeline(name, device, quick=True)
        # diffusers would ask a network, any one, perhaps the one that stays behind
        monkeypatch.setattr(type(made), "_execution_device", device)
        (text,) = sampler.encode(made, backbones.get(name), ["a cup of coffee"], how)
        if fault == "text":
            forgotten = without(sampler.sample, ".to(device)")
            monkeypatch.setattr(sampler, "sample", forgotten)
        else:
            getattr(made, fault).to("cpu")
        with pytest.raises((RuntimeError, ValueError), match="device"):
            if fault == "text_encoder_2":
                sampler.encode(made, backbones.get(name), ["a cup of coffee"], how)
            sampler.sample(made, backbones.get(name), "a cup", 0, how, text=text)


# as benchmarks/attention.py measures them: tokens of image and text, heads, channels
ATTENTION = {"sd3": (2, 16538, 24, 64), "flux": (1, 16461, 24, 128)}


@NAMES
def test_attention_at_4096_px_is_the_chosen_kernels(pipeline, monkeypatch, name):
    """FlashAttention 3's, from the trial on; SD3's too, which diffusers' processor leaves out."""
    seen, backend = [], dispatch.AttentionBackendName._FLASH_3_HUB

    def attend(query, key, value):
        assert {(t.device.type, t.dtype) for t in (query, key, value)} == {("cuda", LOW)}
        assert query.shape == key.shape == value.shape
        seen.append(tuple(query.shape))
        return torch.empty_like(query)

    monkeypatch.setitem(registry._backends, backend, attend)
    monkeypatch.setitem(registry._supported_arg_names, backend, {"query", "key", "value"})
    monkeypatch.setattr(dispatch, "_check_attention_backend_requirements", lambda backend: None)
    monkeypatch.setattr(dispatch, "_maybe_download_kernel_for_backend", lambda backend: None)
    how = settings(quick=False)
    with fake_gpu() as device:
        made = pipeline(name, device, quick=False)
        used = kernels.prepare(made, attention="auto", compiled=False)
        (text,) = sampler.encode(made, backbones.get(name), ["a cup of coffee"], how)
        sampler.sample(made, backbones.get(name), "a cup", 0, how, text=text)
    assert used["attention"] == "_flash_3_hub"
    config = made.transformer.config
    blocks = config.num_layers + getattr(config, "num_single_layers", 0)
    assert seen == [(1, 128, 2, ATTENTION[name][3])] + blocks * [ATTENTION[name]]


@pytest.mark.parametrize("decoder", f16.DECODERS)
@pytest.mark.parametrize("encoder", f16.ENCODERS)
def test_every_form_of_the_vae_encodes_and_decodes_4096_px(encoder, decoder):
    pixels = torch.from_numpy(np.zeros((1, 3, 4096, 4096), np.uint8))  # as the loader hands over
    with fake_gpu() as device:
        made = networks.vae("flux", device, LOW, quick=False)
        f16.make_f16(made, encoder=encoder, decoder=decoder)
        (posterior,) = encode.encode_crops(made, pixels, flip="both", batch=1)
        latent = torch.stack([posterior["mean"], posterior["mean_flip"]])
        decoded = made.decode(latent[:1]).sample
    assert posterior["mean_flip"].shape == posterior["logvar"].shape == (16, 256, 256)
    assert {value.device.type for value in posterior.values()} == {"cuda"}
    assert decoded.shape == (1, 3, 4096, 4096) and decoded.device.type == "cuda"


def test_pixels_that_stay_behind_are_an_error():
    with fake_gpu() as device:
        made = networks.vae("flux", device, LOW, quick=True)
        pixels = torch.zeros(1, 3, 64, 64, dtype=torch.uint8, device="cpu")
        assert encode.posterior(made, pixels)[0].device.type == "cuda"
        with pytest.raises(RuntimeError, match="device"):
            without(encode.posterior, ".to(vae.device)")(made, pixels)
        with pytest.raises(RuntimeError, match="type"):
            without(encode.posterior, ".to(vae.dtype)")(made, pixels)
