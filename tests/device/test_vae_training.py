"""The forward pass of a step of the SC-VAE's training on a GPU that is none, at its real size."""

import contextlib
from types import SimpleNamespace

import lpips
import pytest
import torch
from diffusers import AutoencoderKL

from diffusion4k.sources.miniature.metric_networks import make_vgg16
from diffusion4k.train import autoencoder
from diffusion4k.train.autoencoder import ScaleConsistency
from diffusion4k.train.autoencoder_settings import AutoencoderSettings
from diffusion4k.vae import discriminator as adversary
from diffusion4k.vae import scale_consistency
from diffusion4k.vae.f16 import make_f16
from fake_gpu import fake_gpu, networks, real, without

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


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """`ScaleConsistency.prepare` on a small VAE and VGG-16 from files; call it in `fake_gpu`."""
    networks.vae("flux", "cpu", torch.float32, quick=True, factor=8).save_pretrained(tmp_path)
    (vgg16,) = make_vgg16(tmp_path, narrower=4)
    # what is read from files has values: only then it can be moved
    monkeypatch.setattr(AutoencoderKL, "from_pretrained", real(AutoencoderKL.from_pretrained))
    monkeypatch.setattr(autoencoder, "lpips_vgg", real(autoencoder.lpips_vgg))
    monkeypatch.setattr(autoencoder.launch, "whole", lambda accelerator, base: base.root)

    def prepare(device, prepare=ScaleConsistency.prepare):
        settings = AutoencoderSettings(
            decoder_batch=2, micro_batch=2, encoder="trained", discriminator_hidden=64, ema=0.999
        )
        made = ScaleConsistency(settings)
        made.vgg16, made.base = vgg16, SimpleNamespace(root=tmp_path, within=lambda name: [])
        prepare(
            made,
            SimpleNamespace(
                device=device,
                prepare_model=lambda network, evaluation_mode: network.to(device),
                prepare_optimizer=lambda optimizer: optimizer,
                register_for_checkpointing=lambda average: None,
            ),
        )
        return made

    return prepare


def places(made) -> dict[str, set[str]]:
    held = {name: getattr(made, name) for name in ("teacher", "student", "opponent", "lpips")}
    tensors = {name: [*net.parameters(), *net.buffers()] for name, net in held.items()}
    tensors["trained"], tensors["average"] = made.trained, made.ema.values
    for name in ("optimizer", "opponents_optimizer"):
        tensors[name] = getattr(made, name).param_groups[0]["params"]
    return {name: {tensor.device.type for tensor in found} for name, found in tensors.items()}


def test_all_that_a_training_holds_lies_on_the_gpu(prepared):
    with fake_gpu() as device:
        assert set.union(*places(prepared(device)).values()) == {"cuda"}


def test_networks_that_stay_behind_are_seen(prepared):
    staying = without(ScaleConsistency.prepare, ".to(accelerator.device)")
    with fake_gpu() as device:
        found = places(prepared(device, staying))
    assert {name for name, where in found.items() if where != {"cuda"}} == {"lpips"}
