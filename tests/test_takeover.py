"""Who holds a checkout: what the signature of an earlier run on SLURM tells the next start."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from diffusion4k.cluster import takeover
from diffusion4k.errors import UserError


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A working directory with Snakemake's lock in it."""
    monkeypatch.chdir(tmp_path)
    takeover.LOCKS.mkdir(parents=True)
    (takeover.LOCKS / "0.input.lock").touch()


def sign(pid: int, began: float, host: str | None = None) -> None:
    record = {"host": host or takeover.socket.gethostname(), "pid": pid, "began": began}
    takeover.SIGNATURE.write_text(json.dumps(record), encoding="utf-8")


def run(executor: str = "slurm", touch: bool = False) -> SimpleNamespace:
    return SimpleNamespace(touch=touch, executor_plugin=SimpleNamespace(name=executor))


def test_the_lock_of_a_dead_run_is_removed_and_that_of_a_living_one_stays(locked):
    me = psutil.Process()
    takeover.release_dead_lock()
    assert takeover.LOCKS.exists(), "nobody signed: Snakemake itself says what to do"
    sign(me.pid, me.create_time())
    takeover.release_dead_lock()
    assert takeover.LOCKS.exists()
    sign(me.pid, me.create_time() - 100)  # the number was used before, by another process
    takeover.release_dead_lock()
    assert not takeover.LOCKS.exists()


def test_a_process_that_has_ended_is_dead(locked):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    began = psutil.Process(ended.pid).create_time()
    ended.wait()
    sign(ended.pid, began)
    takeover.release_dead_lock()
    assert not takeover.LOCKS.exists()


def test_another_login_node_is_asked_about_and_never_presumed_dead(locked):
    sign(os.getpid(), 0.0, host="login2")
    takeover.release_dead_lock()
    assert takeover.LOCKS.exists()
    with pytest.raises(UserError, match=r"process \d+ on login2.*if it no longer runs there, rem"):
        takeover.settle(run())


def test_a_run_without_slurm_asks_no_cluster_and_signs_nothing(locked, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    takeover.settle(run("local"))
    takeover.settle(run("slurm", touch=True))
    assert not takeover.SIGNATURE.exists()
