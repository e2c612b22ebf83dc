"""Fixtures of the SLURM tests: one real cluster, a prepared workflow, Snakemake runs on them."""

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from absent import absent
from cluster import Cluster, cluster, missing, until
from conftest import ROOT, copy_workflow
from two_ranks import ENVIRONMENT

HERE = Path(__file__).resolve().parent
RECORD = ROOT / "results" / "faults.json"
MODEL = "results/tiny/train/sd3_f16_wlf"
VAE_FOLDER = "results/tiny/vae/sd3_vae_sc/train"
SIZES = ("--configfile", "config/miniature.yaml", "config/tiny.yaml")
SLOWER = """
import pathlib
import time

_judge = ailment


def ailment(*of):
    time.sleep(float(pathlib.Path("pace").read_text()))
    return _judge(*of)
"""
LIMIT = 600  # seconds for anything to happen, on a machine that does other things too


def need_slurm() -> None:
    """Without Debian's packages a skip, in CI a failure."""
    if lacking := missing():
        text = f"no {', '.join(lacking)}: apt-get install slurm-wlm munge, or run these in CI"
        absent(text)


@pytest.fixture(scope="session")
def slurm():
    """A running cluster."""
    need_slurm()
    with cluster() as made:
        made.environment |= {"OMP_NUM_THREADS": "1"}
        # what DeepSpeed builds, where the tests of training have it
        made.environment |= {"TORCH_EXTENSIONS_DIR": ENVIRONMENT["TORCH_EXTENSIONS_DIR"]}
        yield made


class Run:
    """One `snakemake --profile slurm …`; what it says is in `log`."""

    def __init__(self, arena: "Arena", command: list[str], number: int, **options):
        self.log = arena.folder / f"run-{number}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=arena.folder, env=arena.slurm.environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, **options,
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def says(self, pattern: str) -> str:
        """The first line that matches, as soon as there is one."""
        return until(
            lambda: next((line for line in self.text.splitlines() if re.search(pattern, line)), ""),
            LIMIT, f"{pattern!r} in {self.log}",
        ).strip()  # fmt: skip

    def wait(self) -> int:
        try:
            return self.process.wait(LIMIT)
        finally:
            if self.process.poll() is None:
                self.process.kill()


class Arena:
    """A checkout on the cluster's shared file system: runs, what they trained, what was seen.

    watched: the folder of the training that is watched, until it is none.
    """

    def __init__(self, folder: Path, slurm: Cluster, watched: str = ""):
        self.folder, self.slurm, self.runs, self.watched = folder, slurm, [], watched
        self.before = len(slurm.submissions())
        # the steps of the training that were seen, by the process that trained: first and last
        self.seen: dict[str, tuple[int, int]] = {}
        if watched:
            threading.Thread(target=self._watch, daemon=True).start()

    def command(self, *arguments: str, quick: bool = True, jobs: int | None = None) -> list[str]:
        start = [str(HERE / "quick.py")] if quick else ["-m", "snakemake"]
        pace = ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10"]
        pace = [*(pace if quick else []), *(["--jobs", str(jobs)] if jobs else [])]
        return [sys.executable, *start, "--profile", "slurm", *pace, *SIZES, "--", *arguments]

    def start(self, *arguments: str, jobs: int | None = None, **options) -> Run:
        run = Run(self, self.command(*arguments, jobs=jobs), len(self.runs), **options)
        self.runs.append(run)
        return run

    def configure(self, **changes) -> None:
        """More configuration, merged into tests/slurm/tiny.yaml."""
        configure(self.folder, changes)

    def submitted(self, rule: str) -> list[str]:
        """The sbatch lines of a rule that this arena has seen."""
        mine = self.slurm.submissions()[self.before :]
        mark = f"--comment rule_{rule}_wildcards_"
        return [line for line in mine if mark in line and f"-D {self.folder} " in line]

    # the one training of the tests of faults

    def progress(self) -> dict:
        """progress.json of the segment; empty before it starts."""
        for path in (self.folder / self.watched).glob("progress/*/progress.json"):
            try:
                return json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                pass
        return {}

    def _watch(self) -> None:
        while self.watched:
            now = self.progress()
            if "step" in now:
                first, last = self.seen.get(now["owner"], (now["step"], 0))
                self.seen[now["owner"]] = first, max(last, now["step"])
            time.sleep(0.02)

    def training(self, steps: int, other_than: str = "") -> str:
        """The process that trains, once it has done so many steps; not `other_than`."""

        def found():
            owner = self.progress().get("owner", other_than)
            first, last = self.seen.get(owner, (1, 0))
            assert self.runs[-1].process.poll() is None, self.runs[-1].text
            return owner if owner != other_than and last - first + 1 >= steps else None

        return until(found, LIMIT, f"{steps} steps")

    def job(self, comment: str = "rule_train") -> str:
        """The id of the running job whose comment begins so."""

        def running():
            jobs = self.slurm.jobs("RUNNING").items()
            return next((job for job, text in jobs if text.startswith(comment)), None)

        return until(running, LIMIT, f"a running {comment}")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    """A checkout with the tiny SD3 pipeline, its latents, a VAE's images, made without SLURM."""
    workflow = copy_workflow(tmp_path_factory.mktemp("prepared"))
    shutil.copy(HERE / "tiny.yaml", workflow.folder / "config")
    progress = workflow.folder / "scripts/diffusion4k/progress.py"
    told = progress.read_text(encoding="utf-8")
    assert "EVERY = 5.0" in told  # here after every step, so that a test sees what was lost
    progress.write_text(told.replace("EVERY = 5.0", "EVERY = 0.0"), encoding="utf-8")
    before = ("latents/sd3/shard-0-of-1.json", "sources/vgg16.json", "vae/images.json")
    workflow.run(*SIZES, "--", *(f"results/tiny/{name}" for name in before))
    return workflow.folder


def checkout(prepared: Path, folder: Path) -> Path:
    """A copy of the prepared checkout; times and Snakemake's records included."""
    shutil.copytree(prepared, folder, symlinks=True, dirs_exist_ok=True)
    return folder


def slow_down(folder: Path, seconds: float) -> None:
    """Each step of a checkout's trainings takes so many seconds more, on whatever machine, in code
    that decides no weights. It may be called again while they train."""
    (folder / "pace").write_text(str(seconds), encoding="utf-8")
    monitor = folder / "scripts/diffusion4k/monitor.py"
    code = monitor.read_text(encoding="utf-8")
    if "_judge" not in code:
        monitor.write_text(code + SLOWER, encoding="utf-8")


def configure(folder: Path, changes: dict) -> None:
    """Merge `changes` into a checkout's config/tiny.yaml."""
    path = folder / "config/tiny.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    update_config(config, changes)
    path.write_text(yaml.safe_dump(config), encoding="utf-8")


def trained(folder: Path, model: str = MODEL) -> dict[str, str]:
    """File → SHA-256 of what a finished training left: weights and optimizer, not its clock."""
    (path,) = (folder / model).glob("step-*.json")
    files = json.loads(path.read_text(encoding="utf-8"))["files"]
    found = {f["name"]: f["sha256"] for f in files}
    return {name: found[name] for name in found if name.endswith((".safetensors", "optimizer.bin"))}


@pytest.fixture(scope="session")
def record():
    """record(fault, …) keeps what a test of a fault saw, for docs/faults.md."""

    def keep(fault: str, saw: str, **row) -> None:
        rows = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
        saw = saw.split(" Detailed failure reason")[0].removeprefix("message: ")
        rows[fault] = {"saw": saw, **row}
        RECORD.parent.mkdir(exist_ok=True)
        RECORD.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    return keep
