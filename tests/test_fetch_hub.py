"""scripts/fetch.py as a job runs it, against a hub on this machine that fails as hubs do."""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import ROOT, copy_workflow
from hub_server import Hub, etag

NAME = "owner/model"
TOKEN = "hf_SecretSecretSecret"
FILES = {
    "model_index.json": b'{"_class_name": "FluxPipeline"}',
    "README.md": b"a card",
    "vae/config.json": b"{}",
    "vae/weights.safetensors": bytes(range(256)) * 400,
    "transformer/weights-1.safetensors": b"one" * 50_000,
    "transformer/weights-2.safetensors": b"two" * 50_000,
}
LARGE = sorted(name for name in FILES if name.endswith(".safetensors"))
STORED = "^GET /[0-9a-f]{64}/"  # a large file, at the storage server
# makes a job's pauses short and keeps their lengths; other processes are left as they are
QUICK = """
import os, sys, time
if any(word.endswith("fetch.py") for word in sys.orig_argv):
    slept = time.sleep
    def sleep(seconds):
        with open(os.environ["PAUSES"], "a") as file:
            print(seconds, file=file)
        slept(min(seconds, 0.01))
    time.sleep = sleep
"""


@dataclass(frozen=True)
class Job:
    """scripts/fetch.py with a cache of its own, the hub and the pauses that it made."""

    hub: Hub
    folder: Path
    environment: dict[str, str]

    def command(self, *flags: str, name: str = NAME) -> list[str]:
        command = [sys.executable, "scripts/fetch.py", "--hub", name, *flags]
        return [
            *command, "--folder", str(self.folder / "files"), "--output", str(self.manifest_path)
        ]  # fmt: skip

    def run(self, *flags: str, name: str = NAME, **environment: str) -> subprocess.CompletedProcess:
        """Run the script; its output is kept in `log` as the rule keeps it."""
        command, given = self.command(*flags, name=name), self.environment | environment
        done = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True)
        with (self.folder / "log").open("a", encoding="utf-8") as log:
            log.write(done.stdout + done.stderr)
        return done

    def succeed(self, *flags: str, **more) -> dict:
        done = self.run(*flags, **more)
        assert done.returncode == 0, done.stderr
        return json.loads(self.manifest_path.read_text(encoding="utf-8"))

    def fail(self, *flags: str, **more) -> str:
        """The one line of a run that must fail, without a manifest."""
        done = self.run(*flags, **more)
        assert done.returncode == 1, done.stderr
        assert not self.manifest_path.exists()
        assert "Traceback" not in done.stderr
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert errors == done.stderr.splitlines()[-1:]
        return errors[0]

    @property
    def manifest_path(self) -> Path:
        return self.folder / "source.json"

    @property
    def snapshot(self) -> Path:
        (found,) = self.folder.glob("cache/hub/*/snapshots/*")
        return found

    def pauses(self) -> list[float]:
        path = Path(self.environment["PAUSES"])
        return [float(line) for line in path.read_text().split()] if path.exists() else []


@pytest.fixture
def job(tmp_path):
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick" / "sitecustomize.py").write_text(QUICK, encoding="utf-8")
    left = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    with Hub() as hub:
        environment = left | {
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(tmp_path / "cache"),
            "HF_TOKEN": TOKEN,
            "PYTHONPATH": str(tmp_path / "quick"),
            "PAUSES": str(tmp_path / "pauses"),
        }
        yield Job(hub, tmp_path, environment)


def names(manifest: dict) -> list[str]:
    return [file["name"] for file in manifest["files"]]


def files_with_the_token(folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and TOKEN.encode() in p.read_bytes()]


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


def test_a_branch_is_noted_with_the_commit_that_it_meant(job):
    commit = job.hub.add("owner/pictures", FILES, kind="datasets")
    made = job.succeed("--type", "dataset", name="owner/pictures")
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
