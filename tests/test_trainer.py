"""The trainer on miniature SD3 and Flux transformers: resume, batches, worlds, failures."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from safetensors.torch import load_file, save_file

import tiny
from diffusion4k import backbones, manifest
from diffusion4k.errors import UserError
from diffusion4k.train import monitor, randomness, samples, state, trainer
from diffusion4k.train.job import Job
from diffusion4k.train.settings import Settings

SCRIPT = Path(__file__).parent.parent / "scripts" / "train.py"
STEPS = 6
VARIANTS = {
    "sd3": {"precision": "float32", "gradient_checkpointing": False, "micro_batch": 4},
    "flux": {"precision": "bfloat16", "gradient_checkpointing": True, "micro_batch": 2},
}


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


@pytest.fixture(autouse=True)
def fresh_accelerator():
    torch.set_num_threads(1)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """For each backbone, a pipeline's manifest (transformer, scheduler) and one of five latents."""
    root = tmp_path_factory.mktemp("inputs")
    torch.manual_seed(0)
    for name, transformer in (("sd3", tiny.sd3_transformer()), ("flux", tiny.flux_transformer())):
        folder = root / name
        transformer.save_pretrained(folder / "transformer")
        tiny.FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
        tiny.save_manifest(root / f"{name}.json", folder, notes=["random weights (test)"])
        latents = root / f"latents-{name}"
        (latents / "samples").mkdir(parents=True)
        for index in range(5):
            for crop in range(2):
                write_sample(latents / "samples" / f"photo-{index}-{crop}.safetensors", name)
        tiny.save_manifest(root / f"latents-{name}.json", latents)
    return root


def write_sample(path, name):
    pooled = tiny.CLIP_WIDTH * (2 if name == "sd3" else 1)
    shapes = dict.fromkeys(("mean", "logvar", "mean_flip", "logvar_flip"), (16, 8, 8))
    shapes |= {"prompt_embeds": (12, tiny.T5_WIDTH), "pooled": (pooled,)}
    tensors = {key: torch.randn(shape) for key, shape in shapes.items()}
    told = {"backbone": name, "vae_scaling_factor": "1.5305", "vae_shift_factor": "0.0609"}
    save_file(tensors, path, metadata=told | {"id": path.stem, "crop": "0"})


def recipe(name="sd3", **changes):
    values = {"learning_rate": 1e-3, "global_batch": 4, "guidance": 3.5} | VARIANTS[name]
    return Settings(backbone=name, **values | changes)


def job_for(inputs, folder, name="sd3", **changes):
    step = changes.get("stop_step", STEPS)
    values = {
        "pipeline": inputs / f"{name}.json",
        "latents": (inputs / f"latents-{name}.json",),
        "start": None,
        "stop_step": step,
        "processes": 1,
        "progress_folder": folder / "progress",
        "output": folder / f"step-{step:06d}.json",
        "save_every": 2,
    }
    return Job(**values | changes)


def train(settings, job):
    """Train in this process; the weights by name."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    trainer.train(settings, job, backbones.get(settings.backbone))
    return weights(job.output)


def weights(output):
    return load_file(output.with_suffix("") / "state" / "model.safetensors")


def history(output):
    """The logged steps, without what a clock or the machine decides."""
    rows = pq.read_table(output.with_suffix("") / "loss.parquet").to_pylist()
    measured = {"seconds", "steps_per_second", "images_per_second", "memory_gb"}
    return [{key: value for key, value in row.items() if key not in measured} for row in rows]


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
    """Each backbone's uninterrupted training: its manifest's path."""
    made = {}
    for name in VARIANTS:
        job = job_for(inputs, tmp_path_factory.mktemp(name), name)
        train(recipe(name), job)
        made[name] = job.output
    return made


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("step", range(STEPS))
def test_killed_and_resumed_is_straight(inputs, straight, tmp_path, monkeypatch, name, step):
    job = job_for(inputs, tmp_path, name)
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with pytest.raises(Killed):
            train(recipe(name), job)
    assert_same(train(recipe(name), job), weights(straight[name]))
    assert history(job.output) == history(straight[name])


def test_a_chain_of_segments_is_straight(inputs, straight, tmp_path):
    first = job_for(inputs, tmp_path, stop_step=3)
    train(recipe(), first)
    second = job_for(inputs, tmp_path, start=first.output)
    assert_same(train(recipe(), second), weights(straight["sd3"]))
    assert history(second.output) == history(straight["sd3"])


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
    assert not [*progress.glob("checkpoints-*/checkpoint-*")]
    assert [*progress.glob("tensorboard/events*")]


@pytest.mark.parametrize("damage", ["unfinished", "cut short", "no seal"])
def test_damaged_checkpoint_is_ignored(inputs, straight, tmp_path, monkeypatch, damage):
    job = job_for(inputs, tmp_path)
    with monkeypatch.context() as patch:
        kill_at(patch, 5)
        with pytest.raises(Killed):
            train(recipe(), job)
    (newest,) = job.progress_folder.glob("checkpoints-*/checkpoint-000004")
    if damage == "unfinished":
        newest.rename(newest.with_name(".checkpoint-000004.tmp"))
    elif damage == "no seal":
        (newest / "done.json").unlink()
    else:
        os.truncate(newest / "state" / "optimizer.bin", 100)
    assert state.latest(newest.parent).name == "checkpoint-000002"
    assert_same(train(recipe(), job), weights(straight["sd3"]))


def test_other_settings_never_resume(inputs, tmp_path, monkeypatch, capsys):
    job = job_for(inputs, tmp_path)
    with monkeypatch.context() as patch:
        kill_at(patch, 3)
        with pytest.raises(Killed):
            train(recipe(), job)
    changed = train(recipe(learning_rate=1e-4), job)
    assert "not resumed" in capsys.readouterr().err
    fresh = job_for(inputs, tmp_path / "fresh")
    assert_same(changed, train(recipe(learning_rate=1e-4), fresh))


@pytest.mark.parametrize("micro_batch", [1, 2])
def test_accumulation_is_one_large_batch(inputs, straight, tmp_path, micro_batch):
    other = train(recipe(micro_batch=micro_batch), job_for(inputs, tmp_path))
    for name, value in weights(straight["sd3"]).items():
        torch.testing.assert_close(other[name], value, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("reason", ["time limit", "SIGTERM"])
def test_interrupted_saves_and_continues(inputs, straight, tmp_path, monkeypatch, reason):
    job = job_for(inputs, tmp_path, save_every=100)
    if reason == "time limit":
        halted, first = dataclasses.replace(job, time_limit=1e-6), 1
    else:
        halted, first = job, 3

    def signalling(row, past):
        if reason == "SIGTERM" and len(past) == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(monitor, "ailment", signalling)
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


def test_flips_need_flipped_latents(inputs, tmp_path):
    path = tmp_path / "photo-0.safetensors"
    save_file({"mean": torch.zeros(16, 8, 8)}, path, metadata={})
    with pytest.raises(UserError, match="--flip both"):
        samples._tensors(path, True)
    with pytest.raises(UserError, match="no latent sample"):
        samples.header(samples.Sample("photo", (path,)))


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
    for name, value in train(recipe(), second).items():
        torch.testing.assert_close(value, weights(straight["sd3"])[name], atol=1e-5, rtol=1e-3)
