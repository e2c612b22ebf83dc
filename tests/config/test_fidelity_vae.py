"""The fidelity rows of the scale-consistent VAE's training."""

from types import SimpleNamespace

from configs import both
from diffusion4k.config import resolve as config
from diffusion4k.train import samples
from diffusion4k.train.autoencoder import ScaleConsistency
from diffusion4k.train.autoencoder_settings import AutoencoderSettings


def vae_training(**own) -> ScaleConsistency:
    """A task whose loader can be asked, on two photographs."""
    settings = AutoencoderSettings(micro_batch=32, **own)
    task = ScaleConsistency(settings)
    task.job = SimpleNamespace(processes=1, workers=0)
    task.accelerator = SimpleNamespace(process_index=0)
    return task


def batches_of(settings: config.Config, monkeypatch) -> list[list[tuple[int, int]]]:
    own = {k: settings["vae_training"][k] for k in ("decoder_batch", "discriminator_batch")}
    monkeypatch.setattr(samples, "loading", lambda dataset, keys, workers: keys)
    task = vae_training(**own)
    task.photographs = None
    return task.batches(range(1))


def test_row_sc_gradients(monkeypatch):
    """The decoder's share of a step, and the discriminator's, which stays."""
    published, corrected = (batches_of(s, monkeypatch) for s in both("sc_gradients"))
    assert len(published) == (64 + 256) // 32 and len(corrected) == (256 + 256) // 32
    assert [len(batch) for batch in published] == [32] * 10


def test_row_sc_weight_group():
    """How many images of a step share an adaptive weight: a released micro-batch's, or all."""
    published, corrected = (
        AutoencoderSettings(
            decoder_batch=64, micro_batch=16, adaptive_group=s["vae_training"]["adaptive_group"]
        )
        for s in both("sc_weight_group")
    )
    assert (published.group, corrected.group) == (32, 64)
    assert [len(s.dealt(1)[0]) for s in (published, corrected)] == [2, 1]


def test_row_sc_alternation(monkeypatch):
    """Whether the discriminator has photographs of its own."""
    published, corrected = (batches_of(s, monkeypatch) for s in both("sc_alternation"))
    slots = [{slot for batch in found for _, slot in batch} for found in (published, corrected)]
    assert slots == [set(range(64 + 256)), set(range(64))]
