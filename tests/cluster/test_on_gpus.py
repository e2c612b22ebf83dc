"""One workstation: each job gets GPUs of its own; Snakemake counts them but hands none out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

SCRIPT = ROOT / "scripts" / "on_gpus.py"
SHOW = "import os, time; time.sleep(0.5); print(os.environ.get('CUDA_VISIBLE_DEVICES'))"


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with two GPUs, as far as nvidia-smi tells."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'GPU 0: A100 (UUID: a)'; echo 'GPU 1: A100 (UUID: b)'\n")
    smi.chmod(0o755)
    hidden = {"CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"}
    kept = {key: value for key, value in os.environ.items() if key not in hidden}
    return kept | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}


def start(machine: dict[str, str], count: int, **more: str) -> subprocess.Popen:
    command = [sys.executable, str(SCRIPT), str(count), sys.executable, "-c", SHOW]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=machine | more, **pipes)


def test_jobs_at_the_same_time_get_different_gpus(machine):
    jobs = [start(machine, 1) for _ in range(2)]
    assert {job.communicate()[0].strip() for job in jobs} == {"0", "1"}


def test_a_job_waits_for_all_of_its_gpus(machine):
    jobs = [start(machine, 1), start(machine, 2), start(machine, 2)]
    said = [job.communicate() for job in jobs]
    assert sorted(out.strip() for out, _ in said)[1:] == ["0,1", "0,1"]
    assert "waiting:" in "".join(error for _, error in said)


def test_only_the_gpus_that_the_user_named_are_taken(machine):
    assert start(machine, 1, CUDA_VISIBLE_DEVICES="5").communicate()[0].strip() == "5"


def test_slurm_hands_out_its_gpus_itself(machine):
    told = start(machine, 2, SLURM_JOB_ID="7", CUDA_VISIBLE_DEVICES="3,4").communicate()
    assert told[0].strip() == "3,4"


def test_more_gpus_than_there_are_is_an_error_that_says_what_to_change(machine):
    job = start(machine, 8)
    assert "this machine has 2; lower" in job.communicate()[1]
    assert job.returncode != 0


def test_the_local_profile_runs_as_many_jobs_as_there_are_gpus(machine, tmp_path):
    """Four jobs of one GPU on two: never two at once on one GPU, never three at once."""
    (tmp_path / "Snakefile").write_text(f"""
rule all:
    input: expand("{{i}}.txt", i=range(4))
rule work:
    output: "{{i}}.txt"
    resources: gpu=1
    shell: "{sys.executable} {SCRIPT} {{resources.gpu}} sh -c "
        "'mkdir held-$CUDA_VISIBLE_DEVICES && sleep 0.3 && rmdir held-$CUDA_VISIBLE_DEVICES"
        " && echo $CUDA_VISIBLE_DEVICES > {{output}}'"
""")
    command = [sys.executable, "-m", "snakemake", "--profile", str(ROOT / "profiles/local")]
    done = subprocess.run(
        [*command, "--cores", "6", "--resources", "gpu=2"],
        cwd=tmp_path, env=machine, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {(tmp_path / f"{i}.txt").read_text().strip() for i in range(4)} == {"0", "1"}
