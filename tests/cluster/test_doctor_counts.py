"""What the doctor counts without asking a cluster: what is written, and who signals a training."""

import json
import os
import re

import pytest
import yaml

from configs import ROOT, load, merge
from diffusion4k import files
from diffusion4k.cluster import doctor, trainings
from diffusion4k.config import resolve as config


def configuration(**changes) -> dict:
    raw = load("config.yaml")
    merge(raw, changes)
    return config.resolve(raw)


def test_a_file_of_two_names_takes_its_room_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").write_bytes(bytes(range(256)) * 4096)
    os.link(tmp_path / "a/file", tmp_path / "again")
    assert 2**20 <= files.disk(tmp_path) < 1.5 * 2**20
    assert files.disk(tmp_path / "none") == 0


def test_what_a_run_has_written_is_needed_no_more(tmp_path, monkeypatch):
    given = configuration()
    needed = sum(doctor.plan.Plan(given).disk().values())
    written = {"gb": 0.0}
    monkeypatch.setattr(doctor.files, "disk", lambda folder: written["gb"] * 1e9)
    usage = doctor.shutil.disk_usage(tmp_path)._replace(free=int(0.2e9 * needed))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage)
    assert not doctor._disk(given, tmp_path).ok
    written["gb"] = 0.9 * needed
    assert doctor._disk(given, tmp_path).ok


@pytest.mark.parametrize(("gpus", "ok"), [(1, True), (2, False)])
def test_torchruns_limit_counts_where_it_is_launched(tmp_path, monkeypatch, gpus, ok):
    monkeypatch.setattr(doctor.slurm, "setting", lambda name: "1200 sec")
    path = tmp_path / "train/m/progress/k-000300/progress.json"
    path.parent.mkdir(parents=True)
    record = {"seconds_per_step": 10.0, "seconds_saving": 690.0}
    path.write_text(json.dumps(record), encoding="utf-8")
    own = {"train": {"gpus": gpus}}
    finding = trainings.notice(configuration(backbones={"flux": own, "sd3": own}), tmp_path)
    assert finding.ok is ok and ("torchrun" in finding.detail) is not ok


@pytest.mark.parametrize(
    ("version", "ok"), [("2.15.0+cu132", True), ("2.11.0", False), (None, True)]
)
def test_an_older_torchrun_leaves_its_ranks_30_seconds(tmp_path, monkeypatch, version, ok):
    monkeypatch.setattr(doctor.slurm, "setting", lambda name: "1200 sec")

    def installed(name):
        if not version:
            raise trainings.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(trainings.metadata, "version", installed)
    path = tmp_path / "train/m/progress/k-000300/progress.json"
    path.parent.mkdir(parents=True)
    record = {"seconds_per_step": 10.0, "seconds_saving": 60.0}
    path.write_text(json.dumps(record), encoding="utf-8")
    own = {"train": {"gpus": 2}}
    finding = trainings.notice(configuration(backbones={"flux": own, "sd3": own}), tmp_path)
    assert finding.ok is ok and ("install torch 2.15" in finding.detail) is not ok


def test_the_documented_doctor_counts_as_this_one(tmp_path):
    """docs/cluster.md shows what it says of the paper on the cluster of its example."""
    page = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    site = yaml.safe_load(re.search(r"```yaml\n(site:\n.*?)```", page, re.S)[1])["site"]
    given = configuration(site={k: v for k, v in site.items() if k != "account"})
    needed = re.search(r"about [\d,]+ GB needed \([^)]*\)", str(doctor._disk(given, tmp_path)))[0]
    assert f"disk: {needed}" in page
    (slots,) = trainings.slots(given, tmp_path)
    assert f"{slots}\n" in page
