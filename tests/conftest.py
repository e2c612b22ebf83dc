"""Fixtures that several tests share: a copy of the workflow, and Snakemake's plans."""

import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

import forked

ROOT = Path(__file__).resolve().parent.parent
PARTS = (
    "Snakefile", "rules", "scripts", "config", "profiles", "slurm", "envs", "report", "benchmarks",
)  # fmt: skip
# What makes PyTorch, oneDNN, MKL and NumPy's OpenBLAS take the kernels of an older processor. They
# read it once, when they are loaded
PROCESSORS = {
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "sse": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
}
# Groups of tests that take longest: folders, which then stay on one worker, and files
LONGEST = (
    "tests/slurm/", "tests/end_to_end/", "tests/train/test_resume.py",
    "tests/benchmarks/test_gpu_check.py", "tests/benchmarks/test_benchmarks.py",
    "tests/dag/test_dag.py", "tests/train/test_signals.py", "tests/train/test_trainer.py",
)  # fmt: skip
# What `make test` leaves to `make test-all`: a cluster, what dies in every way, ranks, DeepSpeed,
# other processors, benchmarks; a single test is marked where it stands
LONG = (
    "tests/slurm/", "tests/benchmarks/", "tests/end_to_end/test_paper_mode.py",
    "tests/house/test_portable.py", "tests/train/test_resume.py", "tests/train/test_signals.py",
)  # fmt: skip
pytest_plugins = ["slurm_fixtures", "shared_fixtures"]
pytest.register_assert_rewrite("fetch_job")  # its asserts, too, say what they compared


def pytest_addoption(parser):
    parser.addoption("--processor", choices=PROCESSORS, help="compute as an older processor would")


def pytest_configure(config):
    if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores compute already
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    # of tests/helpers/chaos.py; the last line says it, to be given again, and workers inherit it
    os.environ.setdefault("CHAOS_SEED", str(random.SystemRandom().randrange(10**6)))
    if processor := config.getoption("--processor"):
        assert "torch" not in sys.modules
        os.environ.update(PROCESSORS[processor])


def pytest_report_header(config):
    if config.getoption("--processor"):
        import torch

        return f"PyTorch's kernels: {torch.backends.cpu.get_cpu_capability()}"
    return None


def pytest_terminal_summary(terminalreporter):
    ran = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, ())]
    if any("killed_and_damaged" in report.nodeid for report in ran):
        terminalreporter.write_line(f"CHAOS_SEED={os.environ['CHAOS_SEED']}")


def pytest_xdist_auto_num_workers(config):
    """`-n auto`: one more than cores, for the SLURM tests mostly wait; each takes up to 2 GB."""
    return min(len(os.sched_getaffinity(0)) + 1, 8)


def group(nodeid: str) -> str:
    """What a test stays together with, on one worker: its file, or a folder of LONGEST."""
    file = nodeid.split("::")[0]
    return next((name for name in LONGEST if file.startswith(name)), file)


class ByGroup(LoadScopeScheduling):
    """Groups by name; xdist's own, by a mark, are lost on pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False  # in the order of collection, see below
    return ByGroup(config, log)


@pytest.hookimpl(tryfirst=True)  # before -m chooses by marks
def pytest_collection_modifyitems(items):
    """LONG is marked so; on workers the groups that take longest come first."""
    for item in items:
        if item.nodeid.startswith(LONG):
            item.add_marker("long")
    if "PYTEST_XDIST_WORKER" in os.environ:
        order = {name: place for place, name in enumerate(LONGEST)}
        items.sort(key=lambda item: order.get(group(item.nodeid), len(order)))


@dataclass(frozen=True)
class Workflow:
    """A checkout in which Snakemake runs.

    `plan` dry-runs and counts the jobs of each rule, but for those of files that are asked for.
    """

    folder: Path

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        done = forked.snakemake(["--cores", "2", *arguments], self.folder)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def plan(self, *arguments: str) -> dict[str, int]:
        text = self.run("-n", *arguments).stdout
        table = re.search(r"^Job stats:\n.*\n-.*\n((?:\S+ +\d+\n)+)", text, re.MULTILINE)
        rows = [line.split() for line in table[1].splitlines()] if table else []
        return {rule: int(count) for rule, count in rows if rule != "total" and "/" not in rule}

    def lineage(self, target: str, *arguments: str) -> tuple[set[str], set[str]]:
        """What a target names; what its dry run makes that stays, without folders."""
        text = self.run("-n", target, *arguments).stdout
        (named,) = re.findall(
            rf"^(?:local)?rule {re.escape(target)}:\n    input: (.*)$", text, re.M
        )
        outputs = re.findall(r"^    output: (.*)$", text, re.M)
        temporary = set(re.findall(r"^Would remove temporary output (\S+)", text, re.M))
        made = {path.strip() for line in outputs for path in line.split(",")}
        made = {path for path in made if "." in path.rsplit("/", 1)[1]} - temporary
        return set(named.split(", ")), made

    def command(self, output: str, *arguments: str) -> str:
        """The command line of the job that makes `output`, from a dry run."""
        text = self.run("-n", "-p", output, *arguments).stdout
        jobs = re.split(r"\n(?=(?:local)?rule \w+:\n)", text)
        (job,) = (job for job in jobs if re.search(rf"\n    output: .*{re.escape(output)}", job))
        return re.search(r"\nShell command: (.*)", job)[1]


def copy_workflow(folder: Path) -> Workflow:
    for part in PARTS:
        source = ROOT / part
        if source.is_symlink():
            (folder / part).symlink_to(source.readlink())
        elif source.is_dir():
            shutil.copytree(source, folder / part, ignore=IGNORED)
        else:
            shutil.copy(source, folder / part)
    return Workflow(folder)


@pytest.fixture(autouse=True)
def environment():
    """What a script sets for its own process, such as HF_HUB_OFFLINE, ends with its test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


IGNORED = shutil.ignore_patterns("__pycache__")


@pytest.fixture
def workflow(tmp_path: Path) -> Workflow:
    return copy_workflow(tmp_path)


@pytest.fixture(scope="session")
def checkout() -> Workflow:
    """The repository itself, for plans that change nothing."""
    return Workflow(ROOT)


@pytest.fixture(scope="session")
def networks(tmp_path_factory) -> dict[str, Path]:
    """Tiny random networks of the metrics, each in a folder of its own."""
    import tiny_metrics

    return tiny_metrics.networks(tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="session")
def small(networks):
    """The smaller CLIP of `networks`."""
    import tiny_metrics
    from diffusion4k.metrics import clip

    return clip.Clip(networks["clip"], tiny_metrics.CPU)
