"""The miniature in two clones: one undisturbed, one killed 20 times, damaged and repaired.

pytest -m chaos tests/end_to_end/test_chaos.py      CHAOS_SEED=… for the same moments again
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

import chaos
from conftest import Workflow, copy_workflow

pytestmark = pytest.mark.chaos
RUN = Path("results/miniature")
FLAGS = ("--profile", "profiles/miniature", "--rerun-incomplete", "--")
# what is measured differs from run to run: seconds, memory, images a second
MEASURED = ("efficiency/", "tables/table_5", "tables/table_10", "metrics/training")


def content(clone: Workflow, monkeypatch) -> dict[str, str]:
    monkeypatch.chdir(clone.folder)
    found = chaos.content(RUN)
    return {name: digest for name, digest in found.items() if not name.startswith(MEASURED)}


def test_a_run_that_is_killed_and_damaged_ends_as_one_in_another_folder(tmp_path, monkeypatch):
    seed = int(os.environ.get("CHAOS_SEED", random.SystemRandom().randrange(10**6)))
    print(f"CHAOS_SEED={seed}")
    one, two = (copy_workflow(_folder(tmp_path, name)) for name in ("one", "two"))
    one.run(*FLAGS, "all")
    command = [sys.executable, "-m", "snakemake", *FLAGS, "all"]
    monkeypatch.chdir(two.folder)

    def mend() -> None:
        again = [sys.executable, "-m", "snakemake", *FLAGS, "repair"]
        done = subprocess.run(again, cwd=two.folder, capture_output=True, text=True)
        assert done.returncode == 0, (seed, done.stdout + done.stderr)

    done = chaos.run(command, two.folder, RUN, mend, kills=20, seed=seed, longest=150.0)
    assert content(one, monkeypatch) == content(two, monkeypatch), done


def _folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name
