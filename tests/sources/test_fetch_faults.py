"""scripts/fetch.py as a job runs it, against a hub on this machine that fails as hubs do."""

import json
import shutil
import subprocess
import sys
import time

import pytest

from conftest import ROOT, copy_workflow
from fetch_job import FILES, LARGE, NAME, STORED, TOKEN, files_with_the_token, names, start


@pytest.fixture
def job(tmp_path):
    with start(tmp_path) as made:
        yield made


def test_a_dropped_connection_goes_on_at_the_next_byte(job):
    job.hub.add(NAME, {"weights.safetensors": bytes(12 << 20)})
    job.hub.fault(f"{STORED}weights", times=1, cut=11 << 20)
    assert names(job.succeed()) == ["weights.safetensors"]
    # huggingface_hub writes 10 MiB at a time
    assert [r.range for r in job.hub.stored] == [None, f"bytes={10 << 20}-"]


def test_a_connection_that_stalls_is_given_up_and_resumed(job):
    job.hub.add(NAME, {"weights.safetensors": bytes(12 << 20)})
    job.hub.fault(f"{STORED}weights", times=1, cut=11 << 20, stall=True)
    assert names(job.succeed(HF_HUB_DOWNLOAD_TIMEOUT="1")) == ["weights.safetensors"]
    assert [r.range for r in job.hub.stored] == [None, f"bytes={10 << 20}-"]


def test_a_killed_job_loses_no_finished_file(job):
    job.hub.add(NAME, FILES)
    job.hub.fault(f"{STORED}transformer/weights-2", cut=9, stall=True)
    killed = subprocess.Popen(
        job.command(), cwd=ROOT, env=job.environment, stderr=subprocess.DEVNULL
    )
    cache = job.folder / "cache" / "hub"
    deadline = time.time() + 60
    while len([p for p in cache.glob("*/snapshots/*/**/*") if p.is_file()]) < len(FILES) - 1:
        assert time.time() < deadline and killed.poll() is None
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    assert not job.manifest_path.exists()
    job.hub.heal()
    assert names(job.succeed()) == sorted(FILES)
    assert [r.what.rsplit("/", 1)[1] for r in job.hub.stored] == ["weights-2.safetensors"]


def test_a_file_cut_short_is_an_error_and_the_next_run_fetches_it_alone(job):
    job.hub.add(NAME, FILES)
    job.hub.fault(f"{STORED}vae/weights", change=lambda body: body[:5000])
    assert "Consistency check failed" in job.fail()
    job.hub.heal()
    assert names(job.succeed()) == sorted(FILES)
    assert [r.what.rsplit("/", 1)[1] for r in job.hub.stored] == ["weights.safetensors"]
    assert {r.what.split("/", 5)[-1] for r in job.hub.asked("/resolve/")} == {
        "vae/weights.safetensors"
    }


def test_what_retry_after_asks_for_is_waited_for(job):
    job.hub.add(NAME, FILES)
    job.hub.fault("/revision/", times=1, status=429, headers={"Retry-After": "77"})
    job.hub.fault("/revision/", times=1, status=429)
    job.hub.fault("/revision/", times=1, status=429, headers={"RateLimit": '"api";r=0;t=99'})
    job.hub.fault("GET .*/tree/", times=1, status=429, headers={"Retry-After": "33"})
    assert names(job.succeed()) == sorted(FILES)
    assert [pause for pause in job.pauses() if pause >= 1][:4] == [77, 15, 100, 34]


def test_429_for_ever_is_an_error_that_the_next_run_resumes(job):
    job.hub.add(NAME, FILES)
    job.hub.fault("weights-2", status=429)
    assert "answered with status 429; run again to resume" in job.fail()
    assert sum(job.pauses()) >= 5 + 15 + 45 + 120
    held = {path.name for path in job.snapshot.rglob("*") if path.is_file()}
    assert "weights-2.safetensors" not in held and "model_index.json" in held

    # the folder exists in part: without an answer huggingface_hub would return it as it is
    job.hub.heal()
    shutil.rmtree(job.snapshot.parent.parent / "trees")
    job.hub.fault("/tree/", status=429, after=3)
    assert "files not whole" in job.fail()

    job.hub.heal()
    assert names(job.succeed()) == sorted(FILES)
    assert [r.what.rsplit("/", 1)[1] for r in job.hub.stored] == ["weights-2.safetensors"]


@pytest.mark.parametrize("file", ["vae/weights.safetensors", "vae/config.json"])
def test_other_bytes_than_the_hubs_are_removed(job, file):
    job.hub.add(NAME, FILES)
    job.hub.fault(f"GET .*{file}", change=lambda body: bytes(len(body)))
    assert f"not the hub's ({file} differs in" in job.fail()
    assert not (job.snapshot / file).exists()
    job.hub.heal()
    assert names(job.succeed()) == sorted(FILES)
    assert len(job.hub.asked("GET .*/resolve/") + job.hub.stored) == 1 + (file in LARGE)


@pytest.mark.parametrize(
    ("fault", "flags", "words"),
    [
        ({"status": 401, "headers": {"X-Error-Message": TOKEN}}, (), "does not accept HF_TOKEN"),
        ({"status": 403}, (), "HF_TOKEN may not read it"),
        ({}, ("--revision", "f" * 40), f"no revision {'f' * 40}"),
        ({}, ("--revision", "v9"), "no revision v9"),
        ({}, ("--type", "dataset"), "no such repository of type dataset"),
        (
            {"status": 200, "body": b"<html>log in</html>"},
            (),
            "check the repository's name",
        ),
        ({}, ("--only", "*.gguf"), "none of its 6 files is asked for"),
    ],
)
def test_what_no_patience_mends_is_said_at_once(job, fault, flags, words):
    job.hub.add(NAME, FILES)
    job.hub.fault("/api/", times=9 if fault else 0, **fault)
    assert words in job.fail(*flags)
    assert job.pauses() == []


@pytest.mark.parametrize("token", [TOKEN, ""])
def test_a_gated_repository_says_what_to_do(job, token):
    job.hub.add(NAME, FILES)
    job.hub.gated[f"models/{NAME}"] = "Bearer another"
    said = job.fail(HF_TOKEN=token)
    assert f"gated; accept its licence at https://huggingface.co/{NAME} and set HF_TOKEN" in said


def test_no_server_at_all(job):
    assert "ConnectError: [Errno 111] Connection refused; run again" in job.fail(
        HF_ENDPOINT="http://127.0.0.1:9"
    )


def test_a_disk_that_is_too_small_is_refused_before_any_file(job):
    job.hub.add(NAME, FILES, stated={"vae/weights.safetensors": 10**18})
    assert "GB free, 1000000000 GB still to come; set HF_HOME" in job.fail()
    assert job.hub.asked("/resolve/") == []


def test_snakemakes_retries_complete_what_a_429_stopped(job):
    """The first job of rule fetch_source gives up; the second gets the one missing file."""
    job.hub.add(NAME, FILES)
    (job.folder / "workflow").mkdir()
    workflow = copy_workflow(job.folder / "workflow")
    own = workflow.folder / "config" / "own.yaml"
    text = f"run: own\nsources: {{sd3: {{hub: {NAME}, revision: main, gated: true}}}}\n"
    own.write_text(text, encoding="utf-8")
    path = workflow.folder / "results" / "own" / "sources" / "sd3.json"

    def snakemake(**environment: str) -> dict:
        command = [sys.executable, "-m", "snakemake", "results/own/sources/sd3.json"]
        command += ["--cores", "1", "--configfile", str(own)]
        given = job.environment | environment
        done = subprocess.run(
            command, cwd=workflow.folder, env=given, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(path.read_text(encoding="utf-8"))

    # one job asks for the file at most 35 times: 7 requests a try of huggingface_hub's, 5 tries
    job.hub.fault("HEAD .*weights-2", times=36, status=429)
    assert names(snakemake()) == sorted(FILES)
    assert len(job.hub.asked("GET .*/revision/main")) == 2
    for file in LARGE:
        assert len(job.hub.asked(f"{STORED}{file}")) == 1

    # and offline neither network nor token is asked for, though the source is gated
    path.unlink()
    job.hub.heal()
    made = snakemake(HF_HUB_OFFLINE="1", HF_TOKEN="")
    assert names(made) == sorted(FILES) and "taken offline" in made["notes"][0]
    assert job.hub.requests == []
    assert files_with_the_token(job.folder) == []
