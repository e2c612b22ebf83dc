"""Signals, as launchers, schedulers and terminals send them: to every process of a job at once."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from diffusion4k import progress, signals
from diffusion4k.train import samples, state
from tiny_training import fresh, history, job_for, make_inputs, recipe, train, vae_flags, weights

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
STEPS = 60


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    yield
    fresh()


class Numbers(Dataset):
    """A sample is its key; from step `stuck` on it takes ten minutes."""

    def __init__(self, stuck: int):
        self.stuck = stuck

    def __getitem__(self, key):
        time.sleep(600 if key[0] >= self.stuck else 0.02)
        return {"key": torch.tensor(key)}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_outlast_every_signal_and_end_with_their_loader(monkeypatch, method):
    context = multiprocessing.get_context(method)
    monkeypatch.setattr(samples, "DataLoader", partial(DataLoader, multiprocessing_context=context))
    batches = samples.loader(Numbers(stuck=99), range(20), range(4), 2, workers=2)
    started = list(batches._workers)
    for number in signals.SIGNALS:  # at once: a worker that has yet to begin is no exception
        for worker in started:
            # from elsewhere: a rank's own SIGTERM is how it ends a worker
            subprocess.run(["kill", f"-{number.value}", str(worker.pid)], check=True)
    loaded = [tuple(key) for batch in batches for key in batch["key"].tolist()]
    assert loaded == [(step, slot) for step in range(20) for slot in range(4)]
    for worker in started:  # torch waits five seconds for it, then sends SIGTERM and waits no more
        worker.join(60)
        assert worker.exitcode is not None


def test_a_stuck_worker_does_not_keep_its_rank():
    batches = samples.loader(Numbers(stuck=1), range(4), range(2), 2, workers=1)
    (worker,) = batches._workers
    next(batches)
    began = time.monotonic()
    del batches
    assert time.monotonic() - began < 9, "torch waits five seconds before it ends a worker"
    assert not worker.is_alive()


def test_a_stuck_worker_does_not_outlive_a_killed_rank(tmp_path):
    told = tmp_path / "worker"
    rank = os.fork()
    if rank == 0:
        batches = samples.loader(Numbers(stuck=1), range(4), range(2), 2, workers=1)
        next(batches)
        told.write_text(str(batches._workers[0].pid))
        time.sleep(600)
    while not (told.exists() and told.read_text()):
        time.sleep(0.01)
    worker = psutil.Process(int(told.read_text()))
    os.kill(rank, signal.SIGKILL)
    os.waitpid(rank, 0)
    worker.wait(timeout=3 * signals.POLL)


def test_every_signal_is_noted_once_said_and_the_old_handlers_return(capfd):
    before = signal.getsignal(signal.SIGINT)
    with signals.received(announce=True) as came:
        for number in (signal.SIGINT, signal.SIGINT, *signals.SIGNALS):
            os.kill(os.getpid(), number)
        assert came == [signal.SIGINT, signal.SIGINT, *signals.SIGNALS]
    assert capfd.readouterr().err.splitlines() == [
        "SIGINT: this step is finished and saved, then training ends"
    ]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module", params=["sd3", "vae"])
def straight(request, inputs, tmp_path_factory):
    """What is trained, and the manifest of its uninterrupted training."""
    name = request.param
    job = job_for(inputs, tmp_path_factory.mktemp(name), name, stop_step=STEPS)
    train(recipe(name), job)
    fresh()
    return name, job.output


def own_flags(name: str, job) -> list[str]:
    """The script of a training, with the flags of `recipe(name)`."""
    if name == "vae":
        return [str(SCRIPTS / "train_vae.py"), *vae_flags(job)]
    return [
        *(str(SCRIPTS / "train.py"), "--backbone", "sd3", "--learning-rate", "1e-3"),
        *("--global-batch", "4", "--micro-batch", "4", "--precision", "float32"),
        *("--no-gradient-checkpointing", "--guidance", "3.5", "--cache", "0"),
        *("--latents", *map(str, job.latents)),
    ]


def script(name: str, job, log: Path) -> int:
    """Start it in a process group of its own, with loading processes; its id."""
    command = [
        *(sys.executable, *own_flags(name, job), "--pipeline", str(job.pipeline)),
        *("--stop-step", str(job.stop_step), "--save-every", "5", "--workers", "2"),
        *("--output", str(job.output), "--progress-folder", str(job.progress_folder)),
    ]
    writing = os.O_WRONLY | os.O_CREAT
    outputs = [(os.POSIX_SPAWN_OPEN, number, log, writing, 0o600) for number in (1, 2)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return os.posix_spawn(command[0], command, environment, file_actions=outputs, setpgroup=0)


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_a_signal_to_the_whole_group_loses_no_step(inputs, straight, tmp_path, number):
    """The training and its loading processes; what follows is as if nothing had happened."""
    name, whole = straight
    job = job_for(inputs, tmp_path, name, stop_step=STEPS, save_every=5, cache=0, workers=2)
    log, began = tmp_path / "log", time.monotonic()
    group = script(name, job, log)
    while not [*tmp_path.glob("progress/checkpoints-*/checkpoint-*")]:
        assert os.waitpid(group, os.WNOHANG) == (0, 0), log.read_text()
        time.sleep(0.002)
    os.killpg(group, number)
    _, status = os.waitpid(group, 0)
    passed = time.monotonic() - began
    assert os.waitstatus_to_exitcode(status) == 75, log.read_text()
    told = progress.read(job.progress_folder / progress.NAME)
    (folder,) = job.progress_folder.glob("checkpoints-*")
    saved = int(state.latest(folder).name.split("-")[1])
    assert 5 <= saved < STEPS and told["state"] == "saved"
    assert told["step"] == told["saved_step"] == saved
    assert 0 < progress.notice(told) < passed  # a step and a save, of all that it did
    resumed = train(recipe(name), job)
    assert all(torch.equal(resumed[key], value) for key, value in weights(whole).items())
    assert history(job.output) == history(whole)
