"""Who holds a checkout: what the signature of an earlier run on SLURM tells the next start."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from diffusion4k.cluster import leftovers as takeover
from diffusion4k.cluster import slurm
from diffusion4k.errors import UserError

ME = psutil.Process()


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A working directory with Snakemake's lock in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(takeover, "_others", {})
    takeover.LOCKS.mkdir(parents=True)
    return lock(0)


def lock(number: int):
    path = takeover.LOCKS / f"{number}.input.lock"
    path.touch()
    return path


def sign(pid: int, began: float, host: str | None = None, locks: bool = True) -> None:
    held = {path.name: path.stat().st_mtime_ns for path in takeover.LOCKS.iterdir() if locks}
    record = {"host": host or takeover.socket.gethostname(), "pid": pid, "began": began}
    takeover.SIGNATURE.write_text(json.dumps(record | {"locks": held}), encoding="utf-8")


def run(executor: str = "slurm", touch: bool = False, targets=("tables",)) -> SimpleNamespace:
    settings = SimpleNamespace(targets=[*targets])
    plugin = SimpleNamespace(name=executor)
    return SimpleNamespace(touch=touch, executor_plugin=plugin, dag_settings=settings)


def test_the_lock_of_a_dead_run_is_removed_and_that_of_a_living_one_stays(locked):
    takeover.release_dead_lock()
    assert locked.exists(), "nobody signed: Snakemake itself says what to do"
    sign(ME.pid, ME.create_time())
    takeover.release_dead_lock()
    assert locked.exists()
    sign(ME.pid, ME.create_time() - 100)  # the number was used before, by another process
    takeover.release_dead_lock()
    assert not locked.exists()


def test_a_process_that_has_ended_is_dead(locked):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    began = psutil.Process(ended.pid).create_time()
    ended.wait()
    sign(ended.pid, began)
    takeover.release_dead_lock()
    assert not locked.exists()


def test_a_living_runs_lock_beside_the_signature_of_a_dead_one_stays(locked):
    """As when a local run began after the one on SLURM was killed; its lock may have its name."""
    sign(ME.pid, ME.create_time() - 100)
    locked.unlink()
    os.utime(lock(0), ns=(0, 1))
    lock(1)
    takeover.release_dead_lock()
    assert len(list(takeover.LOCKS.iterdir())) == 2


def test_a_run_signs_with_its_own_locks_only(locked, monkeypatch):
    monkeypatch.setattr(slurm, "jobs", lambda _folder: [])
    takeover.release_dead_lock()
    mine = lock(1)
    takeover.end_unwatched_jobs(run())
    signed = json.loads(takeover.SIGNATURE.read_text(encoding="utf-8"))
    assert signed["locks"] == {mine.name: mine.stat().st_mtime_ns} and signed["pid"] == ME.pid


def test_a_run_without_slurm_takes_a_dead_signature_away(locked, monkeypatch):
    monkeypatch.setattr(slurm, "jobs", lambda _folder: [])
    sign(ME.pid, ME.create_time() - 100)
    takeover.end_unwatched_jobs(run("local"))
    assert not takeover.SIGNATURE.exists()


def test_looking_cancels_nothing(locked, monkeypatch):
    monkeypatch.setattr(slurm, "jobs", lambda _folder: pytest.fail("SLURM was asked"))
    sign(ME.pid, ME.create_time() - 100)
    for targets in (["doctor"], ["plan"], ["verify", "plan"]):
        takeover.end_unwatched_jobs(run("slurm", targets=targets))
    assert takeover.SIGNATURE.exists()


def test_another_login_node_is_asked_about_and_never_presumed_dead(locked):
    sign(os.getpid(), 0.0, host="login2")
    takeover.release_dead_lock()
    assert locked.exists()
    with pytest.raises(UserError, match=r"process \d+ on login2.*if it no longer runs there, rem"):
        takeover.end_unwatched_jobs(run())


def test_a_run_without_slurm_asks_no_cluster_and_signs_nothing(locked, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    takeover.end_unwatched_jobs(run("local"))
    takeover.end_unwatched_jobs(run("slurm", touch=True))
    assert not takeover.SIGNATURE.exists()
