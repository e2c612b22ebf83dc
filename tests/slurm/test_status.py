"""`make status`: what it says of each training, from its files and from a real queue."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import tiny_run
from cluster import until
from configs import load, merge
from conftest import ROOT
from diffusion4k.cluster import status
from diffusion4k.config import resolve as config
from diffusion4k.dag import train

RUN = Path("results/tiny")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout's results: three trainings of two segments, none begun."""
    raw = load("config.yaml", "miniature.yaml")
    merge(raw, {"run": "tiny"})
    resolved = config.resolve(raw)
    (tmp_path / RUN).mkdir(parents=True)
    (tmp_path / RUN / "config.yaml").write_text(yaml.safe_dump(resolved), encoding="utf-8")
    return tmp_path


def resolved(folder: Path) -> dict:
    return yaml.safe_load((folder / RUN / "config.yaml").read_text(encoding="utf-8"))


def tell(folder: Path, step: int, digest: str = "", **more) -> None:
    """A progress file of sd3_f16_wlf as a running segment writes it; `digest`: of other code."""
    segment = SimpleNamespace(model="sd3_f16_wlf", step=f"{step:06d}")
    path = folder / train.CHAIN.progress_folder(resolved(folder), segment) / "progress.json"
    if digest:
        path = path.parent.with_name(f"{digest}-{step:06d}") / path.name
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"owner": "a", "host": "g1", "slurm_job": "1", "state": "running", "stop_step": step,
            "step": 120, "saved_step": 100, "loss": 0.25, "seconds_per_step": 2.0,
            "updated": 1000.0}  # fmt: skip
    path.write_text(json.dumps(told | more), encoding="utf-8")


def said(folder: Path, now: float = 1000.0, model: str = "sd3_f16_wlf") -> dict[int, status.Line]:
    lines = status.lines(resolved(folder), folder, status.ask(folder), now)
    return {line.step: line for line in lines if line.model == model}


@pytest.fixture
def commands(tmp_path: Path, monkeypatch):
    """commands(squeue="…", …): programs of that name, shell scripts, are all that SLURM has."""
    home = tmp_path / "bin"
    home.mkdir()
    monkeypatch.setenv("PATH", str(home))

    def put(**programs: str) -> None:
        for name, text in programs.items():
            (home / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
            (home / name).chmod(0o755)

    return put


def queued(folder: Path, state: str, reason: str = "None", nodes: int = 1) -> str:
    """A squeue that knows job 7, the first segment of sd3_f16_wlf."""
    comment = "rule_train_wildcards_sd3_f16_wlf_000450"
    return f"echo '7|{state}|{reason}|1:00|{comment}|{folder}|{nodes}'"


def test_without_slurm_it_reads_the_files(folder, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert {line.state for line in said(folder).values()} == {"waiting"}
    tell(folder, 450, slurm_job=None)
    line = said(folder)[450]
    assert line.state == "running"
    assert "step 120 of 450, 2.00 s a step, 11 min 00 s left, loss 0.25" in line.detail
    assert "SILENT for 1 h 00 min" in said(folder, now=4600.0)[450].detail
    tell(folder, 450, state="failed", error="step 130: loss nan", slurm_job=None)
    assert said(folder)[450].detail == "saved at step 100, step 130: loss nan"
    first = folder / RUN / "train/sd3_f16_wlf/step-000450.json"
    first.write_text("{}", encoding="utf-8")
    assert said(folder)[450].state == "finished"
    first.unlink()  # temporary: gone once the last segment is there
    last = tiny_run.link(first.with_name("step-000900.json"), {}, results={"loss": 0.125})
    assert [line.state for line in said(folder).values()] == ["finished", "finished"]
    whole = last.read_text(encoding="utf-8")
    for text in ("", "[]", "{}", whole[:50]):
        last.write_text(text, encoding="utf-8")
        assert said(folder)[900].state == "damaged" and str(last) in said(folder)[900].detail
    last.write_text(whole, encoding="utf-8")
    assert said(folder)[900].detail == "loss 0.125"


def test_a_queue_that_cannot_be_asked_is_no_sign_that_a_job_stopped(folder, commands):
    commands(squeue="echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1")
    tell(folder, 450)
    line = said(folder, now=1060.0)[450]
    assert line.state == "unknown" and "step 120 of 450" in line.detail
    assert line.detail.startswith("job 1 was running 1 min 00 s ago: ")
    assert said(folder)[900].state == "unknown", "it may be queued"
    done = command(folder)
    assert "(squeue --me" in done.stdout.splitlines()[-1]
    assert "Unable to contact slurm controller)" in done.stdout.splitlines()[-1]
    tell(folder, 450, slurm_job=None)
    assert said(folder)[450].state == "running", "SLURM has no part in it"
    commands(squeue="true")
    tell(folder, 450)
    assert (said(folder)[450].state, said(folder)[450].detail) == ("stopped", "saved at step 100")
    assert command(folder).stdout.count("unknown") == 0


def test_only_what_will_be_resumed_is_told(folder, commands):
    commands(squeue="true")
    tell(folder, 450, digest="0123", slurm_job="6")
    unused = "begins anew: step 100 was saved by other code or settings"
    assert said(folder)[450].detail == f"for what it is made from, {unused}"
    commands(squeue=queued(folder, "PENDING", "Priority"))
    assert said(folder)[450].detail == f"job 7 (Priority), {unused}"
    tell(folder, 450, saved_step=50, updated=900.0)
    assert said(folder)[450].detail == "job 7 (Priority), goes on from step 50"


def test_a_job_that_began_before_the_edit_still_runs(folder, commands):
    commands(squeue=queued(folder, "RUNNING"))
    tell(folder, 450, digest="0123", slurm_job="7")
    assert said(folder)[450].detail.startswith("job 7, 1:00: step 120 of 450")
    commands(squeue="true")
    tell(folder, 450, digest="0123", slurm_job=None)
    assert said(folder)[450].detail.startswith("on g1: step 120 of 450")
    assert said(folder, now=9000.0)[450].state == "waiting"


def test_the_gpus_of_every_node_are_asked(folder, commands):
    smi = "for node in g2 g1; do echo $node,93, 40960; echo $node,88, 41984; done"
    commands(squeue=queued(folder, "RUNNING", nodes=2), srun=f'echo "$@" > {folder}/asked\n{smi}')
    tell(folder, 450, slurm_job="7")
    use = "GPU 93 %, 40.0 GiB; 88 %, 41.0 GiB"
    assert said(folder)[450].detail.endswith(f"loss 0.25; g1 {use}; g2 {use}")
    assert "--nodes=2 --ntasks=2" in (folder / "asked").read_text()
    commands(squeue=queued(folder, "RUNNING"), srun="echo g1,93, 40960; echo g1,88, 41984")
    assert said(folder)[450].detail.endswith(f"loss 0.25; {use}")


def test_queued_and_running_jobs_on_a_cluster(folder, slurm, monkeypatch):
    """With an nvidia-smi on the nodes, the use of the job's GPUs is asked there."""
    smi = slurm.folder / "bin" / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '93, 40960'; echo '88, 41984'\n")
    smi.chmod(0o755)
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, slurm.environment[name])
    comment = "rule_train_wildcards_sd3_f16_wlf_000450"
    flags = ["--parsable", f"--comment={comment}", "-p", "gpu", "--gres=gpu:1", "--mem=10", "-t1"]
    flags += ["-D", str(folder), "-o", "/dev/null", "--nodes=2", "--ntasks=2"]
    job = slurm.run("sbatch", *flags, "--begin=now+1hour", "--wrap=sleep 60").strip()
    try:
        line = said(folder)[450]
        assert (line.state, line.detail) == ("queued", f"job {job} (BeginTime)")
        slurm.run("scontrol", "update", f"job={job}", "StartTime=now")
        until(lambda: slurm.state(job) == "RUNNING", 20, "the job")
        assert "starting" in said(folder)[450].detail
        tell(folder, 450, slurm_job=job)
        line = said(folder)[450]
        assert line.state == "running" and "step 120 of 450" in line.detail
        use = "GPU 93 %, 40.0 GiB; 88 %, 41.0 GiB"
        assert line.detail.endswith(f"; g1 {use}; g2 {use}")
    finally:
        slurm.run("scancel", job)
        smi.unlink()


def command(folder: Path, *runs: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts/status.py"), *runs],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


def test_the_command_prints_a_line_a_segment(folder, commands):
    done = command(folder, str(RUN))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1 + 3 * 2
    assert command(folder).stdout == done.stdout, "every run"
    missing = command(folder, "results/none")
    assert missing.returncode == 1 and "config.yaml: not there" in missing.stderr


def test_before_the_first_run(tmp_path):
    done = command(tmp_path)
    assert done.returncode == 0 and not done.stderr
    assert done.stdout == "nothing has been run here yet: no results/<run>/config.yaml\n"
