"""The doctor on a real cluster: a line for what is well, a line for each fault provoked."""

import json
import re
import shutil
from pathlib import Path

import pytest

from cluster import Cluster
from configs import load, merge
from conftest import ROOT, copy_workflow
from diffusion4k.cluster import doctor, probe, trainings
from diffusion4k.config import resolve as config
from diffusion4k.estimate import plan
from diffusion4k.run.preflight import use_own_interpreter

SITE = {
    "gpu_request": "gpu", "gpu_model": "a100", "gpu_partition": "gpu", "cpu_partition": "cpu",
    "max_mem_mb": 600_000,
}  # fmt: skip


def configuration(*sizes: str, **changes) -> dict:
    raw = load("config.yaml", *sizes)
    merge(raw, {"site": SITE})
    merge(raw, changes)
    return config.resolve(raw)


@pytest.fixture
def here(slurm: Cluster, monkeypatch) -> Cluster:
    """This process on the cluster's login node."""
    for name in ("PATH", "SLURM_CONF"):
        monkeypatch.setenv(name, slurm.environment[name])
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HOME", "/nonexistent")
    return slurm


def examined(*sizes: str, folder: Path = ROOT, **changes) -> dict[str, doctor.Finding]:
    found = doctor.examine(configuration(*sizes, **changes), folder)
    return {finding.what: finding for finding in found}


def test_a_cluster_that_fits(here):
    found = examined()
    well = {"cpu partition", "gpu partition", "GPUs", "time limits", "slots", "jobs", "polling"}
    assert all(found[what].ok for what in well), [str(finding) for finding in found.values()]
    assert "8 x a100" in found["GPUs"].detail
    # this test machine needs neither the paper's room nor its tokens
    assert {what for what in found if not found[what].ok} <= {"disk", "source sd3", "source flux"}


@pytest.mark.parametrize(
    ("changes", "what", "says"),
    [
        ({"site": {"gpu_partition": "gpus"}}, "gpu partition", "set site.gpu_partition to one of"),
        ({"site": {"cpu_partition": "long"}}, "cpu partition", "no 'long' here"),
        ({"site": {"gpu_model": "h100"}}, "GPU model", "8 x a100 a node, not h100"),
        ({"site": {"gpu_partition": "cpu"}}, "GPU model", "partition cpu has none"),
        ({"backbones": {"flux": {"train": {"gpus": 16, "micro_batch": 2}}}}, "GPUs",
         "asks for 16 on a node"),
        ({"site": {"max_mem_mb": 900_000}}, "jobs", "sbatch refuses"),
        ({"resources": {"check": {"threads": 65}}}, "jobs", "sbatch refuses check"),
        ({"site": {"constraint": "gpu80g"}}, "jobs", "Invalid feature"),
        ({"splits": {"train": {"count": 10**9}}}, "disk", "larger file system"),
        ({}, "source flux", "accept its licence"),
    ],
)  # fmt: skip
def test_a_fault_in_the_configuration(here, changes, what, says):
    found = examined(**changes)
    assert not found[what].ok and says in found[what].detail, str(found[what])


def test_a_limit_of_the_partition(here):
    here.run("scontrol", "update", "partitionname=gpu", "maxtime=60")
    try:
        assert "set site.max_runtime: 60" in examined()["time limit"].detail
        assert examined(site={"max_runtime": 60})["time limits"].ok
    finally:
        here.run("scontrol", "update", "partitionname=gpu", "maxtime=2880")


def test_a_partition_with_two_kinds_of_nodes(tmp_path, monkeypatch):
    """A line of sinfo each: what the larger has is what one job can have."""
    lines = ["gpu:a100:8(S:0-1)", "gpu:v100:16", "(null)", "gpu:a100:4(S:0-1)"]
    text = "\n".join(f"gpu*|2-00:00:00|{gres}" for gres in lines)
    sinfo = tmp_path / "sinfo"
    sinfo.write_text(f"#!/bin/sh\necho '{text}'\n", encoding="utf-8")
    sinfo.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = doctor.partitions()
    assert found["gpu"].gpus == {"a100": 8, "v100": 16}
    assert found["gpu"].default and found["gpu"].minutes == 2880
    (well,) = doctor._gpus(configuration(), found)
    assert well.ok, str(well)
    many = {"backbones": {"flux": {"train": {"gpus": 16, "micro_batch": 2}}}}
    (few,) = doctor._gpus(configuration(**many), found)
    assert not few.ok and "asks for 16 on a node" in few.detail


def test_a_cluster_that_forgets_its_jobs(here):
    text = here.conf.read_text()
    here.conf.write_text(text.replace("MinJobAge=3600", "MinJobAge=120"))
    try:
        here.run("scontrol", "reconfigure")
        found = examined()["polling"]
        assert not found.ok and "after 120 s" in found.detail and "sacct" in found.detail
    finally:
        here.conf.write_text(text)
        here.run("scontrol", "reconfigure")


def test_no_cluster_at_all(here, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    found = examined()["SLURM"]
    assert not found.ok and "login node" in found.detail


# what only a job can tell


def probed(
    folder: Path, patience: float = 120, conda: bool = False, **changes
) -> dict[str, doctor.Finding]:
    config = configuration("miniature.yaml", **changes)
    use_own_interpreter()  # as scripts/doctor.py does: `python` in a job is this one
    return {found.what: found for found in probe.examine(config, folder, patience, conda)}


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    return copy_workflow(tmp_path_factory.mktemp("shared")).folder


@pytest.mark.parametrize(
    ("programs", "lacks"), [(["c++", "ninja"], []), (["c++"], ["ninja"]), ([], ["c++", "ninja"])]
)
def test_what_a_node_lacks_for_building(programs, lacks, tmp_path, monkeypatch):
    for name in programs:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    probe.on_node(Path(__file__), tmp_path / "seen.json", ["compiler"])
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert seen["lacks"] == lacks
    well = probe.read("GPU node", seen, ["environment", "compiler"])
    assert next(well).ok == (not lacks)


def test_jobs_see_the_folder_and_the_environment_but_no_cuda(here, shared, monkeypatch):
    monkeypatch.setenv("CXX", "g++-none -O2")  # jobs inherit it
    train = {"zero_stage": 2, "offload_optimizer": True}
    found = probed(shared, resources={"generate": {"gpu": 1}}, train=train)
    lacks = found["compiler"]
    assert not lacks.ok and "g1 has no g++-none: training builds" in lacks.detail
    assert "load a gcc module" in lacks.detail and "train.offload_optimizer: false" in lacks.detail
    assert found["node"].ok, str(found["node"])
    assert not found["GPU node"].ok and "sees no CUDA" in found["GPU node"].detail
    assert not list((shared / ".snakemake").glob("doctor-*"))


def test_an_environment_that_is_broken_on_the_node(here, shared, tmp_path, monkeypatch):
    (tmp_path / "diffusers.py").write_text("raise ImportError('GLIBC_2.34 not found')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = probed(shared)["node"]
    assert not found.ok and "import diffusers: ImportError: GLIBC_2.34 not found" in found.detail
    found = probed(shared, conda=True)["node"]
    assert found.ok and found.detail.endswith("; environments of --sdm conda were not probed")


def test_a_folder_that_nodes_do_not_share(here, shared, tmp_path):
    """The node has a folder of its own by the same name: sbatch is sent there."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(shared / "scripts", elsewhere / "scripts")
    here.moved.write_text(f"{shared}\n{elsewhere}\n")
    try:
        found = probed(shared)["node"]
        assert not found.ok and re.search("must lie on a file system that", found.detail)
    finally:
        here.moved.unlink()


def test_a_job_that_has_to_wait(here, shared):
    here.run("scontrol", "update", "partitionname=cpu", "state=down")
    try:
        found = probed(shared, patience=1)["node"]
        assert not found.ok and "did not run in time (PENDING, PartitionDown)" in found.detail
    finally:
        here.run("scontrol", "update", "partitionname=cpu", "state=up")


def test_the_doctor_and_the_plan_count_the_same_disk():
    config = configuration()
    finding = doctor._disk(config, ROOT)
    parts = plan.Plan(config).disk()
    assert parts.keys() == {"latents", "train", "generate", "draw"}
    # two backbones' latents, three trainings (docs/training.md), 2,781 and 195 pictures a model,
    # each as JPEG and, to be scored as in memory, as PNG
    assert parts["latents"] == pytest.approx(223, rel=0.02)
    assert parts["generate"] == pytest.approx(16 + 120, rel=0.1)
    jpegs = plan.Plan(configuration(metrics={"score_input": "jpeg"})).disk()
    assert jpegs["generate"] == pytest.approx(16, rel=0.1)
    assert f"about {sum(parts.values()):,.0f} GB needed" in finding.detail
    assert sum(plan.Plan(configuration("miniature.yaml")).disk().values()) < 1


@pytest.mark.parametrize("of", ["train/m", "vae/m/train"])
@pytest.mark.parametrize(("saving", "ok"), [(None, True), (4.0, True), (400.0, False)])
def test_a_save_that_takes_longer_than_slurm_waits_is_told(here, tmp_path, saving, ok, of):
    section = "train" if of == "train/m" else "vae_training"
    if saving:
        path = tmp_path / of / "progress/k-000300/progress.json"
        path.parent.mkdir(parents=True)
        record = {"seconds_per_step": 1.0, "seconds_saving": saving}
        path.write_text(json.dumps(record), encoding="utf-8")
    finding = trainings.notice(configuration(), tmp_path)
    assert finding.ok is ok
    assert "KillWait" in finding.detail
    assert ("goes back up to 30 minutes" in finding.detail) is not ok
    steps = trainings.notice(configuration(**{section: {"save_every": 250}}), tmp_path)
    assert ("goes back up to 250 steps" in steps.detail) is not ok


def test_a_save_that_takes_longer_than_torchrun_waits_is_told(here, tmp_path, monkeypatch):
    """It is torchrun that signals the ranks, and kills them in its turn."""
    monkeypatch.setattr(doctor.slurm, "setting", lambda name: "1200 sec")
    path = tmp_path / "train/m/progress/k-000300/progress.json"
    path.parent.mkdir(parents=True)
    record = {"seconds_per_step": 10.0, "seconds_saving": 690.0}
    path.write_text(json.dumps(record), encoding="utf-8")
    short = trainings.notice(configuration(), tmp_path)
    assert not short.ok and "torchrun its ranks after 600 s" in short.detail
    assert "raise train.time_margin" in short.detail
    assert trainings.notice(configuration(train={"time_margin": 25}), tmp_path).ok
