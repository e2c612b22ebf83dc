"""The FLOP model of a step of the scale-consistent VAE against torch's own count."""

import pytest
import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL
from torch.utils.flop_counter import FlopCounterMode

import parity_sc
import tiny
from diffusion4k.backbones.architecture import VAE
from diffusion4k.estimate import autoencoder
from diffusion4k.perceptual import lpips_vgg
from diffusion4k.sources.miniature import architectures as miniature
from diffusion4k.train.autoencoder import ScaleConsistency
from diffusion4k.vae.discriminator import Discriminator
from tiny_training import fresh


class NoModules:
    """In place of the counter's own, which follows no gradient that is asked for by itself."""

    parents = frozenset({"Global"})

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        return None


@pytest.mark.parametrize(
    ("adversarial", "encoder", "micro_batch"),
    [
        (0.0, "frozen", 2), (0.05, "frozen", 2), (0.05, "trained", 2),
        # a group of which one picture is held at once is decoded forward twice
        (0.0, "frozen", 1), (0.05, "frozen", 1),
    ],
)  # fmt: skip
def test_a_step_takes_what_the_model_says(tmp_path, monkeypatch, adversarial, encoder, micro_batch):
    counter, step = FlopCounterMode(display=False), ScaleConsistency.step
    counter.mod_tracker = NoModules()

    def counted(*arguments):
        with counter:
            return step(*arguments)

    monkeypatch.setattr(ScaleConsistency, "step", counted)
    fresh()
    batches = parity_sc.batches() if micro_batch == parity_sc.BATCH else parity_sc.one_by_one()
    distance = lpips_vgg(parity_sc.save_vgg16(tmp_path / "model.safetensors"))
    how = {"form": "folded", "adversarial": adversarial, "encoder": encoder}
    how |= {"micro_batch": micro_batch}
    parity_sc.stepped(distance, Accelerator(cpu=True), 1, batches, **how)
    fresh()
    training = {
        "size": parity_sc.SIZE,
        "gradient_checkpointing": False,
        "decoder_batch": parity_sc.BATCH,
        "discriminator_batch": parity_sc.BATCH,
        "adaptive_group": 32,
        "micro_batch": micro_batch,
        "gpus": 0,
        "discriminator_hidden": parity_sc.HIDDEN,
        "discriminator_depth": parity_sc.DEPTH,
    }
    config = dict(tiny.vae().config)
    expected = autoencoder.step(
        config,
        training,
        form="folded",
        adversarial=adversarial > 0,
        trained=encoder == "trained",
    )
    # of a trained encoder no gradient of the photograph is asked for
    assert counter.get_total_flops() == pytest.approx(
        expected, rel=2e-3 if encoder == "frozen" else 2e-2
    )


@pytest.mark.parametrize("config", [VAE, miniature.VAE])
def test_weights_of_the_vae_and_its_discriminator(config):
    with torch.device("meta"):
        vae, opponent = AutoencoderKL(**config), Discriminator(64, 4)
    counts = [sum(p.numel() for p in n.parameters()) for n in (vae.encoder, vae.decoder, opponent)]
    found = [*autoencoder.parameters(config), autoencoder.discriminator_parameters(64, 4)]
    assert found == counts
    assert sum(autoencoder.parameters(VAE)) == pytest.approx(83.8e6, rel=1e-3)


def test_a_narrower_perceptual_network_takes_the_square_less():
    # but for the three colours that it sees
    assert autoencoder.vgg16(256) / autoencoder.vgg16(256, 4) == pytest.approx(16, rel=0.1)


def test_the_whole_discriminators_arithmetic_grows_with_the_picture():
    assert autoencoder.discriminator(1024) == pytest.approx(4 * autoencoder.discriminator(512))
    # VGG-16 at 224 px: 15.3 G multiply-adds in its convolutions
    assert autoencoder.vgg16(224) == pytest.approx(2 * 15.35e9, rel=0.01)
