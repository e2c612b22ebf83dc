"""`make status`: what it says of each training, from its files and from a real queue."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cluster import until

from conftest import ROOT
from diffusion4k import config
from diffusion4k.cluster import status
from test_config import load, merge

RUN = Path("results/tiny")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout's results: three trainings of two segments, none begun."""
    raw = load("config.yaml", "miniature.yaml")
    merge(raw, {"run": "tiny"})
    resolved = config.resolve(raw, ROOT / "config" / "schema.yaml")
    (tmp_path / RUN).mkdir(parents=True)
    (tmp_path / RUN / "config.yaml").write_text(yaml.safe_dump(resolved), encoding="utf-8")
    return tmp_path


def tell(folder: Path, step: int, **more) -> None:
    """A progress file of sd3_f16_wlf as a running segment writes it."""
    path = folder / RUN / f"train/sd3_f16_wlf/progress/0123-{step:06d}/progress.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"owner": "a", "host": "g1", "slurm_job": "1", "state": "running", "stop_step": step,
            "step": 120, "saved_step": 100, "loss": 0.25, "seconds_per_step": 2.0,
            "updated": 1000.0}  # fmt: skip
    path.write_text(json.dumps(told | more), encoding="utf-8")


def said(folder: Path, now: float = 1000.0, model: str = "sd3_f16_wlf") -> dict[int, status.Line]:
    resolved = yaml.safe_load((folder / RUN / "config.yaml").read_text(encoding="utf-8"))
    return {line.step: line for line in status.lines(resolved, folder, now) if line.model == model}


def test_without_slurm_it_reads_the_files(folder, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert {line.state for line in said(folder).values()} == {"waiting"}
    tell(folder, 300, slurm_job=None)
    line = said(folder)[300]
    assert line.state == "running"
    assert "step 120 of 300, 2.00 s a step, 6 min 00 s left, loss 0.25" in line.said
    assert "SILENT for 1 h 00 min" in said(folder, now=4600.0)[300].said
    tell(folder, 300, state="failed", error="step 130: loss nan", slurm_job=None)
    assert said(folder)[300].said == "saved at step 100, step 130: loss nan"
    first = folder / RUN / "train/sd3_f16_wlf/step-000300.json"
    first.write_text("{}", encoding="utf-8")
    assert said(folder)[300].state == "finished"
    first.unlink()  # temporary: gone once the last segment is there
    last = {"results": {"loss": 0.125}}
    first.with_name("step-000600.json").write_text(json.dumps(last), encoding="utf-8")
    assert [line.state for line in said(folder).values()] == ["finished", "finished"]
    assert said(folder)[600].said == "loss 0.125"


def test_queued_and_running_jobs_on_a_cluster(folder, slurm, monkeypatch):
    """With an nvidia-smi on the nodes, the use of the job's GPUs is asked there."""
    smi = slurm.folder / "bin" / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '93, 40960'; echo '88, 41984'\n")
    smi.chmod(0o755)
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, slurm.environment[name])
    comment = "rule_train_wildcards_sd3_f16_wlf_000300"
    flags = ["--parsable", f"--comment={comment}", "-p", "gpu", "--gpus=2", "--mem=10", "-t1"]
    flags += ["-D", str(folder), "-o", "/dev/null"]
    job = slurm.run("sbatch", *flags, "--begin=now+1hour", "--wrap=sleep 60").strip()
    try:
        line = said(folder)[300]
        assert (line.state, line.said) == ("queued", f"job {job} (BeginTime)")
        slurm.run("scontrol", "update", f"job={job}", "StartTime=now")
        until(lambda: slurm.state(job) == "RUNNING", 20, "the job")
        assert "starting" in said(folder)[300].said
        tell(folder, 300, slurm_job=job)
        line = said(folder)[300]
        assert line.state == "running" and "step 120 of 300" in line.said
        assert line.said.endswith("; GPU 93 %, 40.0 GiB; 88 %, 41.0 GiB")
    finally:
        slurm.run("scancel", job)
        smi.unlink()


def test_the_command_prints_a_line_a_segment(folder):
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/status.py"), str(RUN)],
        cwd=folder, env=os.environ | {"PATH": ""}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + 3 * 2
    missing = subprocess.run(
        [sys.executable, str(ROOT / "scripts/status.py"), "results/none"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert missing.returncode == 1 and "is no run that Snakemake started" in missing.stderr
