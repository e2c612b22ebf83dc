"""The FLOP model of a step of the scale-consistent VAE against torch's own count."""

import pytest
from accelerate import Accelerator
from torch.utils.flop_counter import FlopCounterMode

import parity_sc
import tiny
from diffusion4k.estimate import autoencoder
from diffusion4k.train.autoencoder import ScaleConsistency
from tiny_training import fresh


class NoModules:
    """In place of the counter's own, which follows no gradient that is asked for by itself."""

    parents = frozenset({"Global"})

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        return None


@pytest.mark.parametrize("adversarial", [0.0, 0.05])
def test_a_step_takes_what_the_model_says(tmp_path, monkeypatch, adversarial):
    counter, step = FlopCounterMode(display=False), ScaleConsistency.step
    counter.mod_tracker = NoModules()

    def counted(*arguments):
        with counter:
            return step(*arguments)

    monkeypatch.setattr(ScaleConsistency, "step", counted)
    fresh()
    batches = [parity_sc.batch("first"), {"pixels": parity_sc.pixels("second")}]
    vgg16 = parity_sc.save_vgg16(tmp_path / "model.safetensors")
    how = {"form": "folded", "adversarial": adversarial}
    parity_sc.stepped(vgg16, Accelerator(cpu=True), 1, batches, **how)
    fresh()
    training = {
        "size": parity_sc.SIZE,
        "gradient_checkpointing": False,
        "decoder_batch": parity_sc.BATCH,
        "discriminator_batch": parity_sc.BATCH,
        "discriminator_hidden": parity_sc.HIDDEN,
        "discriminator_depth": parity_sc.DEPTH,
    }
    config = dict(tiny.vae().config)
    expected = autoencoder.step(config, training, form="folded", adversarial=adversarial > 0)
    assert counter.get_total_flops() == pytest.approx(expected, rel=2e-3)


def test_the_whole_discriminators_arithmetic_grows_with_the_picture():
    assert autoencoder.discriminator(1024) == pytest.approx(4 * autoencoder.discriminator(512))
    # VGG-16 at 224 px: 15.3 G multiply-adds in its convolutions
    assert autoencoder.vgg16(224) == pytest.approx(2 * 15.35e9, rel=0.01)
