"""scripts/fetch.py as a job runs it: what it takes from a hub, online and offline."""

import os
import shutil
import time

import pytest

from fetch_job import FILES, LARGE, NAME, TOKEN, files_with_the_token, names, start
from hub_server import etag


@pytest.fixture
def job(tmp_path):
    with start(tmp_path) as made:
        yield made


def test_a_whole_repository_and_nothing_twice(job):
    commit = job.hub.add(NAME, FILES)
    blobs = job.folder / "cache" / "hub" / "models--owner--model" / "blobs"
    blobs.mkdir(parents=True)
    killed, running = blobs / "aa.01.incomplete", blobs / "bb.02.incomplete"
    for path in (killed, running):
        path.write_bytes(b"part")
    os.utime(killed, (time.time() - 7200,) * 2)

    made = job.succeed("--revision", commit)
    assert names(made) == sorted(FILES)
    digests = {file["name"]: file["sha256"] for file in made["files"]}
    assert all(digests[name] == etag(name, FILES[name]) for name in LARGE)
    assert made["settings"] == {
        "hub": NAME, "type": "model", "revision": commit, "folder": str(job.folder / "files"),
    }  # fmt: skip
    assert made["notes"] == []
    # Xet, which the server offers, is not taken past a mirror
    assert len(job.hub.stored) == len(LARGE) and not job.hub.asked("xet")
    assert not killed.exists() and running.exists()

    job.hub.heal()
    assert names(job.succeed("--revision", commit)) == sorted(FILES)
    assert job.hub.asked("/resolve/") == job.hub.stored == []


@pytest.mark.parametrize("kind", ["dataset", "kernel"])
def test_a_branch_is_noted_with_the_commit_that_it_meant(job, kind):
    commit = job.hub.add("owner/pictures", FILES, kind=f"{kind}s")
    made = job.succeed("--type", kind, name="owner/pictures")
    assert made["settings"]["revision"] == commit
    assert made["notes"] == [
        f"owner/pictures: revision main is not pinned; it meant commit {commit}"
    ]


def test_the_token_goes_to_the_hub_and_nowhere_else(job):
    job.hub.add(NAME, FILES)
    job.hub.fault("weights-2", times=2, status=500, body=TOKEN.encode())
    job.succeed()
    assert {request.token for request in job.hub.asked(NAME)} == {f"Bearer {TOKEN}"}
    assert {request.token for request in job.hub.stored} == {None}
    job.manifest_path.unlink()
    job.hub.gated[f"models/{NAME}"] = "Bearer another"
    shutil.rmtree(job.folder / "cache")
    job.fail()
    assert "HF_TOKEN: holds a space" in job.fail(HF_TOKEN=f"{TOKEN}\x0bX")
    assert files_with_the_token(job.folder) == []


def test_offline_takes_what_an_earlier_download_left(job):
    offline = {"HF_HUB_OFFLINE": "1"}
    said = job.fail(**offline)
    assert f"{NAME}: not in the hub cache, and HF_HUB_OFFLINE is set" in said
    commit = job.hub.add(NAME, FILES)
    job.succeed("--only", "vae/*", "*.json")
    job.manifest_path.unlink()
    job.hub.heal()

    made = job.succeed("--only", "vae/*", **offline)
    assert names(made) == ["vae/config.json", "vae/weights.safetensors"]
    assert made["settings"]["revision"] == commit
    assert made["notes"][0].startswith(f"{NAME}: taken offline from the cache, its sizes compared")
    assert f"it meant commit {commit}" in made["notes"][1]

    job.manifest_path.unlink()
    assert "only in part in the hub cache" in job.fail(**offline)
    (job.snapshot / "vae/weights.safetensors").resolve().write_bytes(b"cut")
    assert "weights.safetensors: not whole" in job.fail("--only", "vae/*", **offline)
    assert job.hub.requests == []


def test_only_and_ignore_choose_the_files(job):
    job.hub.add(NAME, FILES)
    made = job.succeed("--only", "*.json", "transformer/*", "--ignore", "*weights-2*")
    assert names(made) == [
        *("model_index.json", "transformer/weights-1.safetensors", "vae/config.json")
    ]
    assert not job.hub.asked("weights-2|README|vae/weights")
