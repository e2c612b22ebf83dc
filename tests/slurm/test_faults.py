"""Everything that can end a training job, one after another, to one training on a real cluster.

The tests of `training` run in their order on the same segment, of a fine-tuning and then of a VAE's
training: each provokes a fault, waits until the training has gone on beyond it, and records what
the user saw and lost. The last compares the weights with an undisturbed run's. What must not be
disturbed (the other tests) has its own run.
"""

import re
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import forked
from cluster import GPU_NODES, until
from slurm_fixtures import (
    LIMIT,
    MODEL,
    SIZES,
    VAE_FOLDER,
    Arena,
    checkout,
    configure,
    slow_down,
    trained,
)

SAVE_EVERY = 5
STEPS = 300
LONG = {"steps": STEPS, "segment": STEPS, "save_every": SAVE_EVERY}
PACE = 0.5  # seconds a step, or the training would end before all that happens to it has


@dataclass(frozen=True)
class Kind:
    """What is trained: its name and folder, what is asked for, its rule, its section of keys."""

    name: str
    folder: str
    target: str
    rule: str
    section: str
    of: str = ""  # what a row of docs/faults.md adds


FINE_TUNING = Kind("sd3_f16_wlf", MODEL, f"{MODEL}/pipeline.json", "train_kept", "train")
VAE_STEP = f"{VAE_FOLDER}/step-{STEPS:06d}.json"
VAE = Kind(
    "sd3_vae_sc", VAE_FOLDER, VAE_STEP, "train_vae_kept", "vae_training", of=", training a VAE"
)
BOTH = pytest.mark.parametrize("training", [FINE_TUNING, VAE], ids=["model", "vae"], indirect=True)
ONE = pytest.mark.parametrize("training", [FINE_TUNING], ids=["model"], indirect=True)


@dataclass
class Training:
    """The disturbed training: its arena, its current Snakemake, the run that nobody disturbs."""

    kind: Kind
    arena: Arena
    run: object
    straight: Path
    undisturbed: Future


@pytest.fixture(scope="module")
def training(slurm, prepared, tmp_path_factory, request):
    kind = request.param
    arena = Arena(checkout(prepared, tmp_path_factory.mktemp("faults")), slurm, kind.folder)
    straight = checkout(prepared, tmp_path_factory.mktemp("undisturbed"))
    for folder in (arena.folder, straight):
        configure(folder, {kind.section: LONG})
    slow_down(arena.folder, PACE)
    words = ["--cores", "1", *SIZES, "--", kind.target]
    with ThreadPoolExecutor() as pool:
        undisturbed = pool.submit(forked.snakemake, words, straight)
        yield Training(kind, arena, arena.start(kind.target), straight, undisturbed)
        arena.watched = ""
        for run in arena.runs:
            run.process.kill()


@pytest.fixture
def fault(training, record):
    """fault(name, provoke, saw): provoke it, wait until the training has gone on, record it."""
    arena = training.arena

    def happens(name, provoke, saw="", waits=0):
        """`waits`: seconds of SLURM's that the test skips."""
        before = arena.training(SAVE_EVERY)
        began = time.monotonic()
        provoke(arena.job())
        after = arena.training(1, before)
        seconds = round(time.monotonic() - began + waits)
        lost = arena.seen[before][1] - (arena.seen[after][0] - 1)
        assert 0 <= lost <= SAVE_EVERY, arena.seen
        told = [run for run in arena.runs[-2:] if saw and re.search(saw, run.text)]
        assert told or not saw, training.run.text
        line = told[-1].says(saw) if told else "nothing"
        record(name + training.kind.of, saw=line, steps_lost=lost, seconds=seconds)

    return happens


@pytest.fixture
def harmless(training, record):
    """harmless(name, provoke): provoke it; the job must go on, and Snakemake see nothing of it."""
    arena = training.arena

    def happens(name, provoke):
        owner, job = arena.training(1), arena.job()
        said = training.run.text
        provoke(job)
        steps = arena.seen[owner][1]
        until(lambda: arena.seen[owner][1] > steps, LIMIT, "another step")
        assert "rror" not in training.run.text.removeprefix(said)
        assert arena.job() == job
        record(name, saw="nothing", steps_lost=0, seconds=0)

    return happens


def again(training: Training) -> None:
    """The same command once more, as the user would type it."""
    training.run = training.arena.start(training.kind.target)


@BOTH
def test_scancel(training, fault):
    fault(
        "scancel of the job",
        lambda job: training.arena.slurm.run("scancel", job),
        "failed, SLURM status is: 'CANCELLED'",
    )


@BOTH
def test_time_limit(training, fault):
    fault(
        "time limit",
        lambda job: training.arena.slurm.run("scontrol", "update", f"job={job}", "EndTime=now"),
        "failed, SLURM status is: 'TIMEOUT'",
    )


@BOTH
def test_requeue_as_by_preemption(training, fault):
    jobs = []

    def requeue(job):
        jobs.append(job)
        training.arena.slurm.run("scontrol", "requeue", job)
        training.arena.slurm.start_now(job)

    fault("requeue, as by preemption", requeue, waits=120)
    assert training.arena.job() == jobs[0], training.run.text


@ONE
def test_slurmd_killed_and_back(training, harmless):
    slurm = training.arena.slurm

    def bounce(job):
        (node,) = slurm.run("squeue", "-h", "-j", job, "-o", "%N").split()
        slurm.kill(node)
        time.sleep(2)
        slurm.start_node(node)
        slurm.wait_for_nodes()

    harmless("slurmd killed and back", bounce)


@ONE
def test_controller_restarted(training, harmless):
    slurm = training.arena.slurm

    def bounce(job):
        slurm.kill("slurmctld")
        time.sleep(3)
        slurm.start_controller()

    harmless("controller restarted", bounce)


@BOTH
def test_node_lost(training, fault):
    slurm, lost = training.arena.slurm, []

    def lose(job):
        lost.extend(slurm.run("squeue", "-h", "-j", job, "-o", "%N").split())
        slurm.lose(lost[0])
        slurm.start_now(job)

    fault("node lost", lose, waits=120)
    assert lost[0] in GPU_NODES
    slurm.start_node(lost[0])
    slurm.wait_for_nodes()


@BOTH
def test_snakemake_interrupted(training, fault):
    def interrupt(job):
        training.run.process.send_signal(signal.SIGINT)
        assert training.run.wait() != 0
        again(training)

    fault("snakemake interrupted (Ctrl-C)", interrupt, "Terminating processes on user request")


@BOTH
def test_snakemake_killed_never_two_jobs(training, fault):
    slurm, most = training.arena.slurm, []

    def kill(job):
        training.run.process.kill()
        training.run.wait()
        assert slurm.jobs("RUNNING"), "the job must outlive its Snakemake"
        again(training)
        while training.arena.progress()["slurm_job"] == job:
            most.append(len(slurm.jobs("RUNNING")))
            time.sleep(0.2)

    fault("snakemake killed (kill -9)", kill, "an earlier run was stopped and left jobs")
    assert max(most) == 1
    assert "the lock of a killed run" in training.run.text
    job = f"{training.kind.rule} {training.kind.name}_{STEPS:06d}, running"
    assert f"({job})" in training.run.text


@ONE
def test_a_second_snakemake_is_refused_while_the_first_lives(training):
    second = training.arena.start("results/tiny/train/sd3_f16_finetune/pipeline.json")
    assert second.wait() != 0
    assert "another snakemake runs jobs of this folder" in second.text
    training.arena.runs.remove(second)
    assert training.run.process.poll() is None


@BOTH
def test_snakemake_terminated_waits_for_its_jobs(training, record):
    began = time.monotonic()
    training.arena.training(1)
    training.run.process.send_signal(signal.SIGTERM)
    slow_down(training.arena.folder, 0)  # to its end, which Snakemake waits for
    assert training.run.wait() != 0
    saw = training.run.says(r"Will exit after finishing currently running jobs")
    seconds = round(time.monotonic() - began, 1)
    name = f"snakemake terminated (kill){training.kind.of}"
    record(name, saw=saw, steps_lost=0, seconds=seconds)
    again(training)
    assert training.run.wait() == 0, training.run.text


@BOTH
def test_afterwards_the_bytes_are_those_of_an_undisturbed_run(training):
    done = training.undisturbed.result(LIMIT)
    assert done.returncode == 0, done.stderr
    ours, theirs = training.arena.folder, training.straight
    assert trained(ours, training.kind.folder) == trained(theirs, training.kind.folder)
    weights = [path for path in theirs.rglob("*.safetensors") if training.kind.folder in str(path)]
    assert weights
    for path in weights:
        assert (ours / path.relative_to(theirs)).read_bytes() == path.read_bytes()


@BOTH
def test_nothing_that_was_finished_was_made_again(training):
    arena = training.arena
    assert len(arena.submitted(training.kind.rule)) >= 5
    assert len(arena.submitted("export")) == (training.kind is FINE_TUNING)
    assert not any(map(arena.submitted, ("latents", "make_source", "list_images")))
    done = arena.start(training.kind.target)
    assert done.wait() == 0 and "Nothing to be done" in done.text
