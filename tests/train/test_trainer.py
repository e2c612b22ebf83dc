"""The trainer on miniature SD3 and Flux transformers: resume, batches, worlds, failures."""

import dataclasses
import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from diffusion4k import backbones, manifest, monitor
from diffusion4k.errors import UserError
from diffusion4k.train import finetune, launch, samples, state, trainer
from tiny_training import (
    STEPS,
    VARIANTS,
    assert_close_trainings,
    fresh,
    history,
    job_for,
    make_inputs,
    recipe,
    train,
    weights,
)

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train.py"


BOTH = pytest.mark.parametrize("name", ["sd3", "vae"])


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


pytestmark = pytest.mark.usefixtures("fresh_accelerator")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def kill_at(monkeypatch, step):
    """Die in the step that follows `step` finished ones, before it counts."""

    def dying(row, past):
        if len(past) == step:
            raise Killed
        return monitor_ailment(row, past)

    monitor_ailment = monitor.ailment
    monkeypatch.setattr(monitor, "ailment", dying)


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.fixture(scope="module")
def straight(inputs, tmp_path_factory):
    """Each backbone's and a VAE's uninterrupted training: its manifest's path."""
    made = {}
    for name in (*VARIANTS, "vae"):
        job = job_for(inputs, tmp_path_factory.mktemp(name), name)
        train(recipe(name), job)
        made[name] = job.output
    return made


@BOTH
def test_a_chain_of_segments_is_straight(inputs, straight, tmp_path, name):
    first = job_for(inputs, tmp_path, name, stop_step=3)
    train(recipe(name), first)
    second = job_for(inputs, tmp_path, name, start=first.output)
    assert_same(train(recipe(name), second), weights(straight[name]))
    assert history(second.output) == history(straight[name])
    # nor does the manifest know another: a repair that trains again must come out with its digest
    ends = [manifest.read(path) for path in (second.output, straight[name])]
    assert ends[0].digest == ends[1].digest


def test_a_published_segment_that_is_lost_yet_is_published_again(
    inputs, straight, tmp_path, monkeypatch
):
    """Snakemake deletes the outputs of a job that failed after all: no step is taken again."""
    folders = {step: tmp_path / "progress" / f"abc-{step:06d}" for step in (2, 4, STEPS)}
    outputs = []
    for step, folder in folders.items():
        start = outputs[-1] if outputs else None
        job = job_for(inputs, tmp_path, stop_step=step, start=start, progress_folder=folder)
        (folder.with_name(f"old-{step:06d}") / "checkpoints-x").mkdir(parents=True)
        train(recipe(), job)
        outputs.append(job.output)
        job.output.unlink()
        shutil.rmtree(job.output.with_suffix(""))
        with monkeypatch.context() as patch:
            patch.setattr(monitor, "ailment", lambda row, past: pytest.fail("a step again"))
            train(recipe(), job)
        # what an earlier segment or other code left behind is gone, this segment's end is kept
        kept = {path.parent.parent.name for path in tmp_path.glob("progress/*/checkpoints-*/*")}
        assert kept == {folder.name}
        assert not [*folder.with_name(f"old-{step:06d}").iterdir()]
    assert_same(weights(outputs[-1]), weights(straight["sd3"]))
    assert history(outputs[-1]) == history(straight["sd3"])


def test_manifest_and_step_folder(inputs, straight):
    made = manifest.read(straight["flux"])
    rows = pq.read_table(made.root / "loss.parquet").to_pandas()
    assert manifest.verify(made) == []
    assert made.notes == ["random weights (test)"]
    assert made.results["step"] == STEPS and made.results["global_batch"] == 4
    assert made.results["loss"] == pytest.approx(rows["loss"].mean())
    rate = 4 * STEPS / rows["seconds"].sum()
    assert made.results["images_per_second"] == pytest.approx(rate)
    assert {"loss_LL1", "loss_HH1", "gradient_norm", "memory_gb"} <= set(rows.columns)
    exported = backbones.get("flux").load_transformer(made.root, torch.bfloat16)
    for name, value in exported.state_dict().items():
        assert torch.equal(value, weights(straight["flux"])[name].bfloat16())
    progress = straight["flux"].parent / "progress"
    assert [path.name for path in progress.glob("checkpoints-*/checkpoint-*")] == [
        "checkpoint-000006"
    ]
    assert [*progress.glob("tensorboard/events*")]


def test_autocast_keeps_no_second_copy_of_the_weights():
    class Asked(torch.nn.Linear):
        def forward(self, x):
            told = torch.is_autocast_enabled("cpu"), torch.is_autocast_cache_enabled()
            return super().forward(x), *told

    fresh()
    model = launch.accelerator_for(recipe("flux"), 1).prepare(Asked(2, 2))
    assert model(torch.ones(2))[1:] == (True, False)


@BOTH
@pytest.mark.parametrize("damage", ["unfinished", "cut short", "no seal"])
def test_damaged_checkpoint_is_ignored(inputs, straight, tmp_path, monkeypatch, damage, name):
    job = job_for(inputs, tmp_path, name)
    with monkeypatch.context() as patch:
        kill_at(patch, 5)
        with pytest.raises(Killed):
            train(recipe(name), job)
    (newest,) = job.progress_folder.glob("checkpoints-*/checkpoint-000004")
    if damage == "unfinished":
        newest.rename(newest.with_name(".checkpoint-000004.tmp"))
    elif damage == "no seal":
        (newest / "done.json").unlink()
    else:
        os.truncate(newest / "state" / "optimizer.bin", 100)
    assert state.latest(newest.parent).name == "checkpoint-000002"
    assert_same(train(recipe(name), job), weights(straight[name]))


@pytest.mark.parametrize(
    ("name", "other"),
    [("sd3", {"learning_rate": 1e-4}), ("vae", {"adaptive_group": 1})],
    ids=["sd3", "vae"],
)
def test_other_settings_never_resume(inputs, tmp_path, monkeypatch, capsys, name, other):
    job = job_for(inputs, tmp_path, name)
    with monkeypatch.context() as patch:
        kill_at(patch, 3)
        with pytest.raises(Killed):
            train(recipe(name), job)
    changed = train(recipe(name, **other), job)
    assert "not resumed" in capsys.readouterr().err
    fresh = job_for(inputs, tmp_path / "fresh", name)
    assert_same(changed, train(recipe(name, **other), fresh))


@pytest.mark.parametrize("micro_batch", [1, 2])
def test_accumulation_is_one_large_batch(inputs, straight, tmp_path, micro_batch):
    other = train(recipe(micro_batch=micro_batch), job_for(inputs, tmp_path))
    assert_close_trainings(other, weights(straight["sd3"]), inputs / "sd3")


@pytest.mark.parametrize("changes", [{"learning_rate": 1.02e-3}, {"clip": 0.5}], ids=str)
def test_another_recipe_is_not_taken_for_rounding(inputs, straight, tmp_path, changes):
    other = train(recipe(**changes), job_for(inputs, tmp_path))
    with pytest.raises(AssertionError):
        assert_close_trainings(other, weights(straight["sd3"]), inputs / "sd3")


@pytest.mark.parametrize(
    ("reason", "first"), [("time limit", 1), ("in a step", 2), ("after it", 3), ("in a save", 4)]
)
def test_interrupted_saves_and_continues(inputs, straight, tmp_path, monkeypatch, reason, first):
    """By the time limit, or by SIGTERM at moments of the second step and of the save at the fourth:
    no further step is begun than the one in which the signal can be seen."""
    job = job_for(inputs, tmp_path, save_every=4)
    halted = dataclasses.replace(job, time_limit=1e-6) if reason == "time limit" else job
    ailment, loss, save = monitor.ailment, finetune.step.loss, state.save
    steps = itertools.count(1)

    def signalling(moment, function, now):
        def signals_itself(*arguments, **options):
            if reason == moment and now(arguments[1]):
                os.kill(os.getpid(), signal.SIGTERM)
            return function(*arguments, **options)

        return signals_itself

    computing = signalling("in a step", loss, lambda transformer: next(steps) == 2)
    watching = signalling("after it", ailment, lambda past: len(past) == 1)
    saving = signalling("in a save", save, lambda folder: True)
    with monkeypatch.context() as patch:
        patch.setattr(finetune.step, "loss", computing)
        patch.setattr(monitor, "ailment", watching)
        patch.setattr(state, "save", saving)
        with pytest.raises(trainer.Interrupted, match=f"saved at step {first}; run again"):
            train(recipe(), halted)
    assert not job.output.exists()
    assert_same(train(recipe(), job), weights(straight["sd3"]))


def test_nan_names_step_samples_and_checkpoint(inputs, tmp_path, monkeypatch):
    job = job_for(inputs, tmp_path)
    read = samples.Samples.__getitem__

    def poisoned(self, key):
        item = read(self, key)
        return item | ({"z": item["z"] * float("nan")} if key == (3, 1) else {})

    monkeypatch.setattr(samples.Samples, "__getitem__", poisoned)
    with pytest.raises(UserError, match=r"step 4: loss nan.*photo-\d.*checkpoint-000002"):
        train(recipe(), job)
    assert not job.output.exists()


def test_an_exploding_loss_is_an_ailment():
    calm = [{"loss": 0.5, "gradient_norm": 1.0}] * 30
    assert monitor.ailment({"loss": 5.0, "gradient_norm": 1.0}, calm) is None
    assert "median" in monitor.ailment({"loss": 51.0, "gradient_norm": 1.0}, calm)
    assert "norm" in monitor.ailment({"loss": 0.5, "gradient_norm": float("inf")}, calm)


@pytest.mark.parametrize(
    ("settings", "job", "says"),
    [
        ({"global_batch": 6}, {}, "global_batch"),
        ({"objective": "mse"}, {}, "objective"),
        ({"offload_optimizer": True}, {}, "zero_stage"),
        ({}, {"processes": 2}, "torchrun"),
        ({}, {"stop_step": 0}, "stop-step"),
    ],
)
def test_errors_say_what_to_change(inputs, tmp_path, settings, job, says):
    with pytest.raises(UserError, match=says):
        changed = recipe(**settings | ({"micro_batch": 2} if "processes" in job else {}))
        train(changed, job_for(inputs, tmp_path, **job))


def command(inputs, job, *more):
    """scripts/train.py with the flags of `recipe()` and `job`."""
    return [
        *(str(SCRIPT), "--backbone", "sd3", "--learning-rate", "1e-3", "--global-batch", "4"),
        *("--precision", "float32", "--no-gradient-checkpointing", "--guidance", "3.5"),
        *("--pipeline", str(job.pipeline), "--latents", *map(str, job.latents)),
        *("--stop-step", str(job.stop_step), "--save-every", "2", "--output", str(job.output)),
        *("--progress-folder", str(job.progress_folder), *more),
    ]


def test_two_processes_are_one(inputs, straight, tmp_path):
    """DDP by torchrun, then one process from its state, equal one process from the beginning."""
    first = job_for(inputs, tmp_path, stop_step=4)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    two = ["--processes", "2", "--micro-batch", "2"]
    ran = subprocess.run(
        [*launch, *command(inputs, first, *two)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    second = job_for(inputs, tmp_path, start=first.output)
    assert_close_trainings(train(recipe(), second), weights(straight["sd3"]), inputs / "sd3")
