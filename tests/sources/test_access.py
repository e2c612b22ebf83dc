"""The token is tried before the first job; a hub that does not answer is told on the terminal."""

import subprocess
import sys

import pytest

from configs import resolve
from conftest import copy_workflow
from diffusion4k.cluster import doctor
from diffusion4k.run import preflight
from diffusion4k.sources import access
from fetch_job import FILES, NAME, TOKEN, start
from hub_server import Hub

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with Hub() as hub:
        hub.add(NAME, FILES)
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


def config() -> dict:
    """One gated source, which no run has fetched."""
    made = resolve(run="unmade", sources={"sd3": {"hub": NAME, "gated": True}})
    return made | {"sources": {"sd3": made["sources"]["sd3"]}}


def advice() -> tuple[list[str], doctor.Finding]:
    """What a run refuses, and what the doctor says."""
    (finding,) = doctor.tokens(config(), config()["sources"])
    return preflight.refusals(config(), ["sd3"]), finding


def test_a_token_that_may_read(hub, capsys):
    hub.gated[f"models/{NAME}"] = f"Bearer {TOKEN}"
    refused, finding = advice()
    assert refused == [] and finding.ok and "takes the token" in finding.detail
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 401, "headers": {"X-Error-Message": TOKEN}}, "does not accept HF_TOKEN"),
        ({"status": 403}, "HF_TOKEN may not read it"),
        ({"status": 403, "headers": {"X-Error-Code": "GatedRepo"}}, "accept its licence at"),
    ],
)
def test_a_token_that_may_not(hub, fault, said):
    hub.fault("/auth-check", **fault)
    refused, finding = advice()
    assert said in refused[0] and "give sources.sd3.path" in refused[0]
    assert not finding.ok and said in finding.detail
    assert TOKEN not in refused[0] + finding.detail


def test_what_cannot_be_a_token_is_not_sent(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "my token")
    assert "holds a space" in advice()[0][0]
    assert hub.requests == []


def test_no_token_and_offline(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setenv("HF_HOME", "/nonexistent")
    refused, finding = advice()
    assert "is gated; accept its licence" in refused[0]
    assert not finding.ok and finding.detail.startswith("no token; ")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (finding,) = doctor.tokens(config(), config()["sources"])
    assert finding.ok and "HF_HUB_OFFLINE" in finding.detail
    assert hub.requests == []


def test_a_mirror_that_does_not_know_the_question_refuses_nothing(hub):
    hub.fault("/auth-check", status=404)
    assert access.ask(NAME) == access.Answer(True, "")


def test_a_hub_that_does_not_answer(hub, monkeypatch, capsys):
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    refused, finding = advice()
    assert refused == []  # it may answer while downloads wait
    assert f"note: {NOWHERE} does not answer" in capsys.readouterr().err
    assert not finding.ok and "the token is not tried" in finding.detail


def test_without_network_the_terminal_says_so_at_once_and_at_each_pause(tmp_path):
    with start(tmp_path) as job:
        (tmp_path / "workflow").mkdir()
        workflow = copy_workflow(tmp_path / "workflow")
        text = f"run: own\nsources: {{sd3: {{hub: {NAME}, revision: main, gated: true}}}}\n"
        (workflow.folder / "own.yaml").write_text(text, encoding="utf-8")
        target = "results/own/sources/sd3.json"
        command = [sys.executable, "-m", "snakemake", target, "--cores", "1", "--retries", "0"]
        done = subprocess.run(
            [*command, "--configfile", "own.yaml"],
            cwd=workflow.folder,
            env=job.environment | {"HF_ENDPOINT": NOWHERE},
            capture_output=True,
            text=True,
        )
    assert done.returncode != 0
    lines = done.stderr.splitlines()
    note = next(at for at, line in enumerate(lines) if line.startswith(f"note: {NOWHERE}"))
    pauses = [at for at, line in enumerate(lines) if "; trying again in " in line]
    assert len(pauses) >= 4 and min(pauses) > note
    assert all(lines[at].startswith(f"{NAME}: ConnectError") for at in pauses)
    log = workflow.folder / "results/own/logs/sources/sd3.log"
    assert log.read_text(encoding="utf-8").count("; trying again in ") == 4
    assert TOKEN not in done.stdout + done.stderr
