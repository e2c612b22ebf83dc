"""What a training step draws: order, repetition, flips; never the loader's doing."""

import dataclasses
import threading

import pytest
import torch
from safetensors.torch import save_file

import tiny
from diffusion4k import backbones
from diffusion4k.errors import UserError
from diffusion4k.train import randomness, samples
from tiny_training import make_inputs


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def test_draws_repeat_as_on_the_released_ranks(inputs):
    found, _ = samples.listing([inputs / "latents-sd3.json"])
    assert [sample.id for sample in found] == [f"photo-{index}" for index in range(5)]
    draws = samples.Draws(0, 4, 2, 0.5, backbones.get("sd3").draw_u)
    alike = samples.Samples(found, draws)
    apart = samples.Samples(found, dataclasses.replace(draws, repeat_every=0))
    for key in ("u", "noise"):
        assert torch.equal(alike[7, 0][key], alike[7, 2][key])
        assert not torch.equal(alike[7, 0][key], alike[7, 1][key])
        assert not torch.equal(apart[7, 0][key], apart[7, 2][key])
    assert not torch.equal(alike[7, 0]["z"], alike[7, 2]["z"])  # other images, all the same


def test_every_epoch_shows_every_sample_once():
    order = [randomness.sample_index(0, position, 7) for position in range(21)]
    assert all(sorted(order[first : first + 7]) == list(range(7)) for first in (0, 7, 14))
    assert order[:7] != order[7:14]
    assert [*randomness.slots(1, 4, 8)] == [2, 3]


def test_loader_processes_and_cache_change_nothing(inputs):
    found, _ = samples.listing([inputs / "latents-sd3.json"])
    draws = samples.Draws(0, 4, 0, 0.5, backbones.get("sd3").draw_u)
    sets = [(samples.Samples(found, draws, cache=keep), 0) for keep in (True, False)]
    sets.append((samples.Samples(found, draws), 1))
    streams = [
        list(samples.loader(data, range(3), range(4), 2, workers=count)) for data, count in sets
    ]
    for batches in zip(*streams, strict=True):
        for other in batches[1:]:
            assert all(torch.equal(batches[0][key], other[key]) for key in other)


def test_samples_in_memory_are_made_by_a_thread_while_a_step_trains(inputs):
    """The batch after the next is there before it is asked for; an error is told at its batch."""
    made, third = [], threading.Event()

    class Slow(torch.utils.data.Dataset):
        def __getitem__(self, key):
            if key == (3, 0):
                raise UserError("a damaged sample")
            made.append(threading.current_thread())
            if key == (2, 0):
                third.set()
            return key[0]

    stream = samples.loading(Slow(), [[(step, 0)] for step in range(5)], workers=0)
    assert (next(stream).item(), next(stream).item()) == (0, 1)
    assert third.wait(10), "the third batch waited for its step"
    assert threading.main_thread() not in made
    assert next(stream).item() == 2
    with pytest.raises(UserError, match="a damaged sample"):
        next(stream)


def test_flips_need_flipped_latents(inputs, tmp_path):
    path = tmp_path / "photo-0.safetensors"
    save_file({"mean": torch.zeros(16, 8, 8)}, path, metadata={})
    with pytest.raises(UserError, match="--flip both"):
        samples._tensors(path, True)
    with pytest.raises(UserError, match="no latent sample"):
        samples.header(samples.Sample("photo", (tiny.listed(path),)))
