"""A training that is killed and resumed is the training, bit for bit: however often, wherever.

Simulated kills at each of 20 steps for one process, DDP and ZeRO-2; real SIGKILLs at 20 random
moments, in the middle of a checkpoint's writing too; other numbers of processes.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import torch

import resume_ranks
from absent import absent
from diffusion4k import monitor, progress
from diffusion4k.errors import UserError
from diffusion4k.train import state
from tiny_training import (
    fresh,
    history,
    job_for,
    make_inputs,
    recipe,
    train,
    vae_flags,
    weights,
)
from two_ranks import ENVIRONMENT, HELPERS, ROOT, TORCHRUN

STEPS = 20
VARIANTS = {
    "sd3, fp32": ("sd3", {}),
    "flux, bf16, checkpointing, accumulation": ("flux", {}),
    "sd3, 8-bit Adam": ("sd3", {"optimizer": "adamw_8bit"}),
    "flux, bf16 weights, steps in the backward pass": (
        "flux",
        {"optimizer": "adamw_8bit_bf16", "clip": 0, "micro_batch": 4},
    ),
    "scale-consistent VAE": ("vae", {}),
}


class Killed(BaseException):
    """As SIGKILL: nothing catches it."""


pytestmark = pytest.mark.usefixtures("fresh_accelerator")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_killed_at_every_step_one_process(inputs, tmp_path, monkeypatch, variant):
    """A training that dies in each of its steps, and one that dies once and goes on to its end."""
    name, changes = VARIANTS[variant]
    settings = recipe(name, **changes)
    where = {"stop_step": STEPS, "save_every": 3}
    straight = job_for(inputs, tmp_path / "straight", name, **where)
    expected = train(settings, straight)
    ailment = monitor.ailment
    for deaths in resume_ranks.DEATHS:
        job = job_for(inputs, tmp_path / f"killed-{len(deaths)}", name, **where)
        for stop in deaths:

            def dying(row, past, stop=stop):
                if len(past) == stop:
                    raise Killed
                return ailment(row, past)

            with monkeypatch.context() as patch:
                patch.setattr(monitor, "ailment", dying)
                with pytest.raises(Killed):
                    train(settings, job)
        resumed = train(settings, job)
        assert all(torch.equal(resumed[key], expected[key]) for key in expected), deaths
        assert history(job.output) == history(straight.output)


@pytest.fixture(scope="module")
def killed_ranks(inputs, tmp_path_factory):
    """Run resume_ranks.py; a folder a mode, with its straight training."""
    folder = tmp_path_factory.mktemp("ranks")
    modes = [mode for mode in resume_ranks.MODES if mode != "offload" or shutil.which("g++")]
    ran = subprocess.run(
        [*TORCHRUN, str(HELPERS / "resume_ranks.py"), str(inputs), str(folder), *modes],
        capture_output=True,
        text=True,
        timeout=1800,
        env=ENVIRONMENT,
    )
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-6000:]
    for mode in modes:
        assert ran.stdout.count(f"{mode}: {STEPS} kills, the same state") == 2
    return folder


@pytest.mark.parametrize("mode", resume_ranks.MODES)
def test_killed_at_every_step_two_processes(killed_ranks, mode):
    """DistributedDataParallel; the same, saved by clocks that disagree; DeepSpeed ZeRO-2 in bf16
    with fp32 master weights; the released recipe: the same, the optimizer in CPU memory, and
    activations recomputed; the scale-consistent VAE, its discriminator and its average."""
    if mode == "offload" and not shutil.which("g++"):
        absent("DeepSpeed builds its CPU Adam with g++")
    assert (killed_ranks / mode / "straight" / f"step-{STEPS:06d}.json").exists()


def kill_in_a_save(launcher: subprocess.Popen, folder: Path) -> list[Path]:
    """SIGKILL a launcher and its ranks while they write a save after another; what lies there.

    They are halted first: a save that is already whole by then is let go on to the next.
    """
    while launcher.poll() is None:
        if [*folder.glob("checkpoints-*/checkpoint-*")] and unsealed(folder):
            family = [psutil.Process(launcher.pid)]
            family += family[0].children(recursive=True)
            for process in family:
                process.suspend()
            if found := unsealed(folder):
                for process in family:
                    process.kill()
                launcher.wait()
                psutil.wait_procs(family)
                return found
            for process in family:
                process.resume()
        time.sleep(0.001)
    return []


def unsealed(folder: Path) -> list[Path]:
    """Folders of saves that are being written."""
    return [*folder.glob("checkpoints-*/.checkpoint-*.tmp")]


def on_two_ranks(name: str, job, save_every: int) -> list[str]:
    """A training's script on two ranks, with loading processes as at full size; SD3 under ZeRO."""
    if name == "vae":
        own = ["train_vae.py", *vae_flags(job, micro_batch=1)]
    else:
        own = [
            "train.py", "--backbone", "sd3", "--learning-rate", "1e-3", "--global-batch", "4",
            "--micro-batch", "1", "--guidance", "3.5", "--no-gradient-checkpointing",
            "--zero-stage", "2", "--latents", *map(str, job.latents), "--cache", "0",
        ]  # fmt: skip
    return [
        *TORCHRUN, str(ROOT / "scripts" / own[0]), *own[1:], "--processes", "2",
        "--pipeline", str(job.pipeline), "--stop-step", str(STEPS),
        "--save-every", str(save_every), "--workers", "1",
        "--progress-folder", str(job.progress_folder), "--output", str(job.output),
    ]  # fmt: skip


def check_goes_on(command: list[str], folder: Path, straight: Path) -> None:
    """The same command again ends with the straight training's state, every rank's shard of it."""
    again = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr[-4000:]
    found, expected = resume_ranks.states(folder), resume_ranks.states(straight)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


RANKS = pytest.mark.parametrize(("name", "mode"), [("sd3", "zero"), ("vae", "vae")])


@RANKS
def test_two_processes_terminated_then_killed_while_they_save(
    inputs, tmp_path, killed_ranks, name, mode
):
    """SIGTERM to the launcher of a training's script loses no step: torchrun passes it on to the
    whole process group of each rank, loaders included. Then SIGKILL to launcher and ranks, a
    checkpoint half-written: of ZeRO, or of a VAE with its discriminator and average."""
    job = job_for(inputs, tmp_path, name, stop_step=STEPS)
    command = on_two_ranks(name, job, save_every=4)
    with (tmp_path / "log").open("w") as log:
        first = subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log)
        while not newest(job, STEPS):
            assert first.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.002)
        first.terminate()
        first.wait(60)
    told = progress.read(job.progress_folder / progress.NAME)
    said, saved = (tmp_path / "log").read_text(), newest(job, STEPS)
    assert 4 <= saved < STEPS and f"saved at step {saved}; run again" in said, said
    assert told["state"] == "saved" and told["step"] == told["saved_step"] == saved
    command = on_two_ranks(name, job, save_every=1)
    with (tmp_path / "log").open("w") as log:
        second = subprocess.Popen(command, env=ENVIRONMENT, stdout=log, stderr=log)
        unfinished = kill_in_a_save(second, tmp_path / "progress")
    assert unfinished, (tmp_path / "log").read_text()
    reached = newest(job, STEPS)
    assert saved <= reached < STEPS and f"{reached + 1:06d}" in unfinished[0].name
    check_goes_on(command, tmp_path, killed_ranks / mode / "straight")


def child(work) -> int:
    """Run `work` in a fork of this process, which has imported everything already."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 2)
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return pid


@pytest.mark.parametrize("name", ["sd3", "vae"])
def test_sigkill_at_20_random_moments_loses_little_and_changes_nothing(inputs, tmp_path, name):
    every, steps, lives = 2, 160, 20
    straight = job_for(inputs, tmp_path / "straight", name, stop_step=steps, save_every=every)
    began = time.perf_counter()
    expected = train(recipe(name), straight)
    step = (time.perf_counter() - began) / steps
    fresh()
    job = job_for(inputs, tmp_path / "killed", name, stop_step=steps, save_every=every)
    moments, saved = random.Random(0), 0
    for _ in range(lives):
        pid = child(lambda: train(recipe(name), job))
        # up to three saves from where it starts, then any moment of two steps and their save
        goal = saved + every * moments.randint(0, 3)
        while newest(job, steps) < goal:
            time.sleep(step / 10)
        time.sleep(moments.uniform(0, 2 * step))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert newest(job, steps) >= max(saved, goal), "a save was lost"
        saved = newest(job, steps)
    assert every * 10 < saved < steps, "the moments did not fall into the training"
    assert os.waitpid(child(lambda: train(recipe(name), job)), 0)[1] == 0
    ours = weights(job.output)
    assert all(torch.equal(ours[key], expected[key]) for key in expected)
    assert history(job.output) == history(straight.output)


def newest(job, steps: int) -> int:
    """The step of the newest whole checkpoint, `steps` when the segment is published."""
    if job.output.exists():
        return steps
    found = [state.latest(folder) for folder in job.progress_folder.glob("checkpoints-*")]
    return max((int(path.name.split("-")[1]) for path in found if path), default=0)


def test_a_state_of_zero_is_refused_without_it(tmp_path):
    """Another world: sharded optimizer states are not loaded by halves."""
    (tmp_path / "checkpoint-000002").mkdir()
    seal = '{"step": 2, "sharded_over": 2, "files": {}}'
    (tmp_path / "checkpoint-000002" / "done.json").write_text(seal, encoding="utf-8")

    class One:
        num_processes, deepspeed_plugin = 1, None

    with pytest.raises(UserError, match="ZeRO over 2 processes, this training has no ZeRO"):
        state.load(One(), tmp_path / "checkpoint-000002")
