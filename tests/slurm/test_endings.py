"""Faults that have a run of their own: out of memory, out of time, out of disk, refused, cancelled.

After each the same command continues, and what comes out is what comes out undisturbed.
"""

import resource
import time

import pytest

from cluster import until
from conftest import Workflow
from slurm_fixtures import LIMIT, MODEL, SIZES, Arena, checkout, configure, slow_down, trained

TARGET = f"{MODEL}/step-000040.json"


@pytest.fixture(scope="module")
def straight(prepared, tmp_path_factory):
    """What an undisturbed training of the same 40 steps leaves."""
    folder = checkout(prepared, tmp_path_factory.mktemp("straight"))
    Workflow(folder).run(*SIZES, "--", TARGET)
    return trained(folder)


@pytest.fixture
def arena(slurm, prepared, tmp_path):
    arena = Arena(checkout(prepared, tmp_path / "arena"), slurm)
    yield arena
    for run in arena.runs:
        run.process.kill()


def finished(arena: Arena) -> None:
    run = arena.start(TARGET)
    assert run.wait() == 0, run.text


def test_out_of_memory_is_tried_again_with_more(arena, straight, record):
    # the first attempt has no room for the libraries, the third has
    arena.configure(resources={"train": {"mem_mb": 1000}})
    began = time.monotonic()
    run = arena.start(TARGET)
    assert run.wait() == 0, run.text
    memory = [line.split("--mem ")[1].split()[0] for line in arena.submitted("train_kept")]
    assert memory[:2] == ["1000", "1333"]
    assert trained(arena.folder) == straight
    record("out of memory", saw=run.says("SLURM status is: '(FAILED|OUT_OF_MEMORY)'"),
           steps_lost=0, seconds=round(time.monotonic() - began))  # fmt: skip


def test_a_segment_takes_as_many_slots_as_it_needs(arena, straight, record):
    """Its time budget, well below what it needs, ends a job saved; the next one goes on.

    What SLURM grants is far longer: a busy machine takes a minute to start what trains.
    """
    slow_down(arena.folder, 1)
    arena.configure(
        resources={"train": {"runtime": 3}},
        train={"save_every": 1000, "time_margin": 2.4, "slots": 40},
    )
    run = arena.start(TARGET)
    assert run.wait() == 0, run.text
    assert len(arena.submitted("train_kept")) >= 2
    logs = [path.read_text() for path in (arena.folder / ".snakemake/slurm_logs").rglob("*.log")]
    assert logs and not any("Trying to restart" in log for log in logs), "one try in one job"
    assert "--time-limit 0.6" in run.text
    memory = {line.split("--mem ")[1].split()[0] for line in arena.submitted("train_kept")}
    assert len(memory) == 1, "a slot that ended in time is no reason to ask for more"
    assert trained(arena.folder) == straight
    record("end of a job's time budget", saw=run.says(r"saved at step \d+; run again to continue"),
           steps_lost=0, seconds=None)  # fmt: skip


def test_a_finished_segment_is_not_made_again(arena):
    """The second of two is cancelled; the first stands, whose weights it goes on from."""
    arena.configure(train={"steps": 80})
    run = arena.start(f"{MODEL}/step-000080.json")
    until(lambda: arena.submitted("train_kept"), LIMIT, "the second segment")
    first = {path: path.stat().st_mtime_ns for path in arena.folder.glob(f"{MODEL}/step-000040*")}
    arena.slurm.run("scancel", arena.job("rule_train_kept"))
    assert first and all(path.stat().st_mtime_ns == when for path, when in first.items())
    assert run.wait() == 0, run.text
    assert len(arena.submitted("train_kept")) == 2 and len(arena.submitted("train")) == 1
    assert run.says("SLURM status is: 'CANCELLED'")


def test_a_full_disk_while_a_checkpoint_is_written(arena, straight, record):
    """A limit on the size of files, which SLURM hands on to the job, fails its writes midway."""
    arena.configure(train={"slots": 2})
    small = 1_500_000  # the weights of a checkpoint fit, its optimizer does not

    def limit():
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (small, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
        )

    run = arena.start(TARGET, preexec_fn=limit)
    assert run.wait() != 0
    saw = run.says("could not be saved")
    assert not list(arena.folder.rglob("checkpoint-*/done.json"))
    began = time.monotonic()
    finished(arena)
    assert trained(arena.folder) == straight
    record("disk full while a checkpoint is written", saw=saw.split(": ", 2)[-1], steps_lost=20,
           seconds=round(time.monotonic() - began))  # fmt: skip


def test_sbatch_refuses(arena, slurm, straight, record):
    slurm.run("scontrol", "update", "partitionname=gpu", "state=inactive")
    try:
        run = arena.start(TARGET)
        assert run.wait() != 0
    finally:
        slurm.run("scontrol", "update", "partitionname=gpu", "state=up")
    saw = run.says("sbatch: error")
    began = time.monotonic()
    finished(arena)
    assert trained(arena.folder) == straight
    record("sbatch refuses a submission", saw=saw, steps_lost=0,
           seconds=round(time.monotonic() - began))  # fmt: skip


def test_a_cancelled_generation_makes_no_image_twice(arena, prepared, tmp_path, record):
    """Two hundred sampler steps, so that there is time to cancel between two images."""
    straight = checkout(prepared, tmp_path / "straight")
    for folder in (arena.folder, straight):
        configure(folder, {"backbones": {"sd3": {"generate": {"steps": 200}}}})
    target = "results/tiny/generate/sd3_f16/eval_2048/shard-0-of-1.json"
    images = arena.folder / "results/tiny/generate/sd3_f16/eval_2048"
    run = arena.start(target)

    def some():
        found = list(images.rglob("*.jpg"))
        return found if len(found) >= 2 else None

    until(some, LIMIT, "two images")
    arena.slurm.run("scancel", arena.job("rule_generate"))
    began, before = time.monotonic(), {path: path.stat().st_mtime_ns for path in some()}
    assert run.wait() == 0, run.text
    assert len(arena.submitted("generate")) == 2
    whole = list(images.rglob("*.jpg"))
    assert len(before) < len(whole)
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    Workflow(straight).run(*SIZES, "--", target)
    for path in whole:
        assert (straight / path.relative_to(arena.folder)).read_bytes() == path.read_bytes()
    record("scancel of a generating job", saw=run.says("SLURM status is: 'CANCELLED'"),
           steps_lost=0, seconds=round(time.monotonic() - began))  # fmt: skip
