"""The forward pass of a step of the SC-VAE's training on a GPU that is none, at its real size."""

import contextlib
from types import SimpleNamespace

import lpips
import pytest
import torch

from diffusion4k.train.autoencoder import ScaleConsistency
from diffusion4k.train.autoencoder_settings import AutoencoderSettings
from diffusion4k.vae import discriminator as adversary
from diffusion4k.vae import scale_consistency
from diffusion4k.vae.f16 import make_f16
from fake_gpu import fake_gpu, networks, without

QUICK = pytest.mark.parametrize("quick", [True, False], ids=["small", "real"])


def training(device, *, quick: bool, form="published"):
    """What the step reads of a training, and a batch of two on the CPU, as it is loaded."""
    side = 128 if quick else 512
    made = ScaleConsistency(
        AutoencoderSettings(decoder_batch=2, micro_batch=2, size=side, decoder_form=form)
    )
    made.accelerator = SimpleNamespace(device=device, autocast=contextlib.nullcontext)
    how = {"quick": quick, "factor": 8}
    made.teacher = networks.vae("flux", device, torch.float32, **how).requires_grad_(False)
    made.student = networks.vae("flux", device, torch.float32, **how)
    make_f16(made.student, decoder=form).train()
    scale_consistency.trained(made.student, encoder=False)
    with device:
        made.opponent = adversary.Discriminator().train()
        made.lpips = lpips.LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False)
    made.lpips.scaling_layer.to(device)
    batch = {
        "pixels": torch.empty(2, 3, side, side, dtype=torch.uint8),
        "eps": torch.empty(2, 16, side // 16, side // 16),
        "teacher_eps": torch.empty(2, 16, side // 8, side // 8),
    }
    return made, batch


@pytest.mark.parametrize("form", ["published", "folded", "upsample"])
@QUICK
def test_every_term_lies_on_the_gpu(quick, form):
    with fake_gpu() as device:
        made, batch = training(device, quick=quick, form=form)
        batch = made._to_device(batch)
        picture, consistency = made.reconstruct(batch)
        real, fake = made.opponent(batch["pixels"]), made.opponent(picture)
        terms = [consistency, made.lpips(picture, batch["pixels"]).mean()]
        terms += [adversary.hinge(real, fake), -fake.mean()]
    assert picture.shape == batch["pixels"].shape and picture.requires_grad
    assert {(term.shape, term.dtype, term.device.type) for term in terms} == {
        ((), torch.float32, "cuda")
    }


def test_a_batch_that_stays_behind_is_an_error(monkeypatch):
    move = without(
        ScaleConsistency._to_device,
        "v.to(self.accelerator.device, non_blocking=True)",
        "v",
    )
    with fake_gpu() as device:
        made, batch = training(device, quick=True)
        with pytest.raises(RuntimeError, match="device"):
            made.reconstruct(move(made, batch))
