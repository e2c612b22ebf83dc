"""The miniature in two clones: one undisturbed, one killed 20 times, damaged and repaired.

    pytest -m chaos [-k tables or -k whole] [-s]     CHAOS_SEED=… for the same moments again

`tables` is the same DAG as far as Tables 3 and 4 (sources, latents, both trainings, pictures,
scores) in fewer steps of each training: some minutes of CPU; `whole` is all of it, in an hour.
"""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import chaos
from conftest import Workflow, copy_workflow

pytestmark = pytest.mark.chaos
RUN = Path("results/miniature")
FEWER_STEPS = {
    "sources": {name: {"options": {"vae_steps": 20}} for name in ("sd3", "flux")},
    "train": {"steps": 24, "segment": 12, "save_every": 4},
    "backbones": {name: {"generate": {"steps": 4}} for name in ("sd3", "flux")},
}
# what is measured differs from run to run: seconds, memory, images a second
MEASURED = ("efficiency/", "tables/table_5", "tables/table_10", "metrics/training")
# at most this part of an undisturbed run's time until a kill: 20 times half of it are one such run,
# which is not enough, for each kill loses what its jobs were at
PART = 1 / 10


def content(clone: Workflow, monkeypatch) -> dict[str, str]:
    monkeypatch.chdir(clone.folder)
    digests = chaos.content(RUN)
    return {name: digest for name, digest in digests.items() if not name.startswith(MEASURED)}


@pytest.mark.parametrize(
    ("changes", "targets"),
    [
        pytest.param(FEWER_STEPS, ("table_3", "table_4"), id="tables"),
        pytest.param({}, ("all",), id="whole"),
    ],
)
def test_a_run_that_is_killed_and_damaged_ends_as_one_in_another_folder(
    tmp_path, monkeypatch, changes, targets
):
    one, two = (_clone(tmp_path / name, changes) for name in ("one", "two"))
    flags = ("--scheduler", "greedy", "--rerun-incomplete")
    flags += ("--configfile", "config/miniature.yaml", "config/chaos.yaml", "--")
    began = time.monotonic()
    one.run(*flags, *targets)
    seconds = time.monotonic() - began
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *flags]
    monkeypatch.chdir(two.folder)

    def mend() -> None:
        done = subprocess.run([*command, "repair"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    done = chaos.run([*command, *targets], two.folder, RUN, mend, kills=20, longest=seconds * PART)
    assert sum(line.startswith("kill") for line in done) >= 15, done  # and not all but run
    assert content(one, monkeypatch) == content(two, monkeypatch), done


def _clone(folder: Path, changes: dict) -> Workflow:
    folder.mkdir()
    clone = copy_workflow(folder)
    (folder / "config/chaos.yaml").write_text(yaml.safe_dump(changes), encoding="utf-8")
    return clone
