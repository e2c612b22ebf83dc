"""The profile as users type it, and what each job asks of SLURM at the paper's own scale."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cluster_files import RECORD, SHIM
from configs import load, merge
from conftest import ROOT
from diffusion4k.cluster import submission
from diffusion4k.config import resolve as config
from diffusion4k.dag import resources, train, vae
from diffusion4k.errors import UserError
from diffusion4k.files import write_text

SITE = {"gpu_request": "gpu", "gpu_model": "a100", "gpu_partition": "gpu", "cpu_partition": "cpu"}


def resolved(**changes) -> dict:
    raw = load("config.yaml")
    merge(raw, {"site": SITE} | changes)
    return config.resolve(raw)


def sbatch(made: dict, step: str, model: str = "", attempt: int = 1) -> str:
    asked = submission.asked(made, step, model, attempt)
    threads = resources.threads(made, step, submission.wildcards(made, step, model))
    return " ".join(submission.sbatch(asked, threads, Path("/shared/checkout")))


def test_the_name_alone_finds_the_profile(tmp_path):
    """`--profile slurm` is looked for in the working directory: there it is a link."""
    assert (ROOT / "slurm").is_symlink() and (ROOT / "slurm/config.yaml").is_file()
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "-n", "table_9"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Using profile slurm" in done.stderr


@pytest.mark.parametrize(
    ("step", "model", "flags"),
    [
        ("train", "sd3_f16_wlf", "-p gpu -t 2880 --mem 480000 --cpus-per-task=64 --gpus=a100:8"),
        ("train", "flux_f16_wlf", "-p gpu -t 2880 --mem 480000 --cpus-per-task=64 --gpus=a100:8"),
        ("latents", "", "-p gpu -t 480 --mem 64000 --cpus-per-task=8 --gpus=a100:1"),
        ("reconstruct", "", "-p gpu -t 720 --mem 64000 --cpus-per-task=8 --gpus=a100:1"),
        ("generate", "", "-p gpu -t 720 --mem 96000 --cpus-per-task=8 --gpus=a100:1"),
        ("features", "", "-p gpu -t 120 --mem 32000 --cpus-per-task=8 --gpus=a100:1"),
        ("quality", "", "-p gpu -t 720 --mem 64000 --cpus-per-task=8 --gpus=a100:1"),
        ("texture", "", "-p cpu -t 120 --mem 16000 --ntasks=1 --cpus-per-task=8"),
        ("check", "", "-p cpu -t 240 --mem 32000 --ntasks=1 --cpus-per-task=16"),
    ],
)  # fmt: skip
def test_what_each_rule_asks_for(step, model, flags):
    line = sbatch(resolved(), step, model)
    words = flags.replace(" -", "\n-").splitlines()
    assert not [word for word in words if f" {word} " not in f"{line} "], line
    # with a task count of its own, a job of eight GPUs would run eight times with one each
    assert "per-gpu" not in line
    if "--gpus" in flags:
        assert "--nodes=1" in line and "--ntasks" not in line and "--gres" not in line


def test_gres_instead_of_gpus():
    line = sbatch(resolved(site=SITE | {"gpu_request": "gres"}), "train", "flux_f16_wlf")
    assert "--gres=gpu:a100:8" in line and "--gpus" not in line and "--nodes=1" in line


def test_two_nodes_share_the_gpus():
    made = resolved(backbones={"flux": {"train": {"gpus": 16, "nodes": 2, "micro_batch": 2}}})
    line = sbatch(made, "train", "flux_f16_wlf")
    for flag in ("--nodes=2", "--ntasks=2", "--gres=gpu:a100:8", "--cpus-per-task=64"):
        assert flag in shlex.split(line)
    assert "--gpus" not in line and "per-gpu" not in line
    launch = submission.asked(made, "train", "flux_f16_wlf")["launch"]
    assert launch.startswith("srun --nodes 2 --ntasks 2 --cpus-per-task 64")
    assert "torchrun --nnodes 2 --nproc-per-node 8" in launch


def test_later_attempts_ask_for_more_up_to_the_sites_limits():
    made = resolved(site=SITE | {"max_runtime": 1000, "max_mem_mb": 100000})
    asks = [submission.asked(made, "generate", attempt=attempt) for attempt in (1, 2, 3, 9)]
    assert [ask["mem_mb"] for ask in asks] == [96000, 100000, 100000, 100000]
    assert [ask["runtime"] for ask in asks] == [720, 1000, 1000, 1000]
    free = resolved()
    assert submission.asked(free, "generate", attempt=3)["runtime"] == 1440
    assert submission.asked(free, "generate", attempt=40)["mem_mb"] == 160000


def test_a_training_job_is_a_slot_and_ends_itself_before_its_limit():
    made = resolved(site=SITE | {"max_runtime": 240})
    for attempt in (1, 5):
        assert submission.asked(made, "train", "sd3_f16_wlf", attempt)["runtime"] == 240
    job = submission.wildcards(made, "train", "sd3_f16_wlf")
    assert resources.time_limit(made, "train", job) == 220


def test_a_training_asks_for_each_of_its_gpus():
    made = resolved(fidelity={"sd3_global_batch": "corrected"})
    line = sbatch(made, "train", "sd3_f16_wlf")
    assert "--mem 120000 --nodes=1 --cpus-per-task=16 " in line and line.endswith("a100:2")
    launch = submission.asked(made, "train", "sd3_f16_wlf")["launch"]
    assert "OMP_NUM_THREADS=8 " in launch and "--nproc-per-node 2" in launch


def test_a_backbones_training_may_ask_for_more_than_others():
    own = {"mem_mb": 90000, "runtime": 600}
    made = resolved(backbones={"flux": {"train": {"gpus": 4, "resources": own}}})
    for model, asked in (("flux_f16_wlf", (600, 360000, 32)), ("sd3_f16_wlf", (2880, 480000, 64))):
        flags = "-t {} --mem {} --nodes=1 --cpus-per-task={} ".format(*asked)
        assert flags in sbatch(made, "train", model)
    limits = [
        resources.time_limit(made, "train", submission.wildcards(made, "train", f"{name}_f16_wlf"))
        for name in ("flux", "sd3")
    ]
    assert limits == [580, 2860]
    with pytest.raises(UserError, match="backbones.flux.train.resources.runtime"):
        resolved(backbones={"flux": {"train": {"resources": {"runtime": 20}}}})


def test_the_site_is_named_in_every_job():
    made = resolved(site=SITE | {"account": "photo", "qos": "long", "constraint": "gpu80g"})
    line = sbatch(made, "texture")
    assert "-A photo" in line and "--qos=long" in line and "-C gpu80g" in line


def test_what_needs_no_cluster_is_local():
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    assert profile["executor"] == "slurm" and profile["slurm-status-command"] == "squeue"
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "rules").glob("*.smk"))
    local = set(re.findall(r"^    (\w+),$", text, re.MULTILINE))
    assert {"fetch_source", "aggregate", "table", "prompts", "figure", "html"} <= local


@pytest.mark.parametrize(
    ("chain", "name", "gpus"),
    [(train.CHAIN, "flux_f16_wlf", 8), (vae.CHAIN, "mine", 4)],
    ids=["model", "vae"],
)
def test_a_slot_that_ended_in_time_is_no_reason_for_more_memory(
    tmp_path, monkeypatch, chain, name, gpus
):
    made = resolved(vaes={"mine": {"backbone": "flux", "recipe": "sc", "label": "mine"}})
    monkeypatch.chdir(tmp_path)
    segment = submission.wildcards(made, chain.rule, name)
    told = Path(chain.progress_folder(made, segment), "progress.json")
    for ended, memory in ((0, 100_000), (1, 80_000), (2, 60_000), (5, 60_000)):
        write_text(told, json.dumps({"slots": ended}))
        assert f"--mem {memory * gpus} " in sbatch(made, chain.rule, name, attempt=3)
    assert (
        submission.asked(made, chain.rule, name, 5)["runtime"]
        == (made["resources"][chain.rule]["runtime"])
    )


def test_ranks_have_the_time_to_save_after_a_signal():
    launch = submission.asked(resolved(), "train", "flux_f16_wlf")["launch"]
    # half of train.time_margin's 20 minutes; torchrun's own would be 30 s
    assert "TORCH_ELASTIC_SHUTDOWN_TIMEOUT=600 torchrun --standalone" in launch


def test_sbatch_calls_at_once_are_recorded_a_line_each(tmp_path):
    """What the other tests read: jobs of independent rules are handed in by threads."""
    program = tmp_path / "sbatch"
    extra = RECORD.format(folder=tmp_path)
    program.write_text(SHIM.format(conf="slurm.conf", program="/bin/true", extra=extra))
    program.chmod(0o755)
    asked = [[str(call), *["x" * 300] * 30] for call in range(200)]  # longer than a pipe holds
    for call in [subprocess.Popen([program, *words]) for words in asked]:
        assert call.wait() == 0
    lines = (tmp_path / "sbatch.calls").read_text().splitlines()
    assert sorted(map(str.split, lines)) == sorted(asked)
