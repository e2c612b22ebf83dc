"""Saves by time: the first process's clock decides, and no weight knows of them."""

import argparse
import itertools
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
import torch

from diffusion4k import monitor
from diffusion4k.dag import keys
from diffusion4k.errors import UserError
from diffusion4k.train import state, trainer
from diffusion4k.train.job import pace
from tiny_training import history, job_for, make_inputs, recipe, train

STEPS = 8


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


pytestmark = pytest.mark.usefixtures("fresh_accelerator")


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("250", 250),
        ("30min", timedelta(minutes=30)),
        ("0.5min", timedelta(seconds=30)),
        ("0", None),
        ("0min", None),
        ("-1min", None),
        ("30 minutes", None),
    ],
)
def test_the_flag(text, means):
    if means:
        assert pace(text) == means
        return
    with pytest.raises(argparse.ArgumentTypeError, match="30min"):
        pace(text)


def test_the_configurations_value_as_a_flag():
    assert [pace(str(keys.pace(v))) for v in (250, {"minutes": 30}, {"minutes": 0.25})] == [
        250,
        timedelta(minutes=30),
        timedelta(seconds=15),
    ]


def test_a_training_saved_by_time_and_killed_is_the_training(tmp_path, monkeypatch):
    """A clock on which four minutes pass a step, and a save every ten: after every third."""
    inputs = make_inputs(tmp_path / "inputs")
    straight = job_for(inputs, tmp_path / "straight", stop_step=STEPS)
    expected = train(recipe(), straight)

    ailment, saved, save = monitor.ailment, [], trainer.state.save

    def dying(row, past):
        if len(past) == 5:
            raise Killed
        return ailment(row, past)

    def noted(accelerator, folder, step, *rest):
        saved.append(step)
        return save(accelerator, folder, step, *rest)

    def clock():
        ticks = itertools.count(0, 240)
        return SimpleNamespace(
            time=time.time, perf_counter=time.perf_counter, monotonic=lambda: next(ticks)
        )

    monkeypatch.setattr(trainer.state, "save", noted)
    every = timedelta(minutes=10)
    job = job_for(inputs, tmp_path / "killed", stop_step=STEPS, save_every=every)
    with monkeypatch.context() as patch:
        patch.setattr(monitor, "ailment", dying)
        patch.setattr(trainer, "time", clock())
        with pytest.raises(Killed):
            train(recipe(), job)
    monkeypatch.setattr(trainer, "time", clock())
    resumed = train(recipe(), job)
    assert saved == [3, 6, 8]  # the first life's, then the second's, which begins after step 3
    assert all(torch.equal(resumed[key], expected[key]) for key in expected)
    assert history(job.output) == history(straight.output)


def test_a_published_step_replaces_another_and_no_folder_of_somebodys(tmp_path):
    def publish() -> None:
        temporary = tmp_path / ".step.tmp"
        (temporary / "state").mkdir(parents=True)
        state._seal(temporary, tmp_path / "step", {"step": 1})

    publish()
    publish()
    (tmp_path / "step/thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"step: .*thesis\.tex"):
        publish()
    assert (tmp_path / "step/thesis.tex").is_file()
