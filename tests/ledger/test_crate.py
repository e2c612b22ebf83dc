"""A run as an RO-Crate: what roc-validator, without network, accepts, and what it says."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests
import rocrate

import tiny_run
from diffusion4k.ledger import chain, check

SCRIPTS = Path(chain.__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def crate(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("crate")
    run = tiny_run.write(folder / "results/tiny")
    (run / "config.yaml").write_text("run: tiny\n", encoding="utf-8")
    (run / "tables/table_3.md").write_text("| FID |\n", encoding="utf-8")
    target = run / "crate"
    command = [sys.executable, SCRIPTS / "crate.py", run, "--output", target]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return target


def context() -> dict:
    """RO-Crate's terms as rocrate brings them, those of workflows as version 1.1 has them."""
    bundled = Path(rocrate.__file__).parent / "data/ro-crate.jsonld"
    terms = json.loads(bundled.read_text(encoding="utf-8"))["@context"]
    bioschemas = "https://bioschemas.org/"
    older = {name: bioschemas + name for name in ("ComputationalWorkflow", "FormalParameter")}
    older |= {n: f"{bioschemas}ComputationalWorkflow#{n}" for n in ("input", "output")}
    return {"@context": terms | older}


@pytest.fixture
def offline(monkeypatch):
    """The one context that a crate names, from a file: nothing is asked of a network."""
    from rdflib.plugins.shared.jsonld import context as jsonld
    from rocrate_validator.utils.http import HttpRequester

    def known(url: object) -> dict:
        assert str(url) == "https://w3id.org/ro/crate/1.1/context", url
        return context()

    def get(_self, url, **_options):
        answer = requests.Response()
        answer.status_code, answer._content = 200, json.dumps(known(url)).encode()
        answer.headers["Content-Type"] = "application/ld+json"
        return answer

    def refuse(*address, **_options):
        raise AssertionError(f"asks the network for {address}")

    monkeypatch.setattr(HttpRequester, "get", get, raising=False)
    monkeypatch.setattr(jsonld, "source_to_json", lambda url, *rest: (known(url), None))
    monkeypatch.setattr(socket.socket, "connect", refuse)


def issues(crate: Path) -> list[str]:
    from rocrate_validator import models, services

    settings = services.ValidationSettings(
        rocrate_uri=str(crate),
        profile_identifier="provenance-run-crate",
        requirement_severity=models.Severity.REQUIRED,
        offline=True,
        cache_path=crate.parent / "cache",
    )
    return [str(issue.message) for issue in services.validate(settings).get_issues()]


def test_the_validator_accepts_the_crate_as_a_provenance_run(crate, offline):
    assert issues(crate) == []


def test_and_refuses_one_whose_actions_have_lost_their_tools(crate, offline, tmp_path):
    subprocess.run(["cp", "-r", crate, tmp_path / "bad"], check=True)
    path = tmp_path / "bad/ro-crate-metadata.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    for entity in record["@graph"]:
        entity.pop("instrument", None)
    path.write_text(json.dumps(record), encoding="utf-8")
    assert any("instrument" in issue for issue in issues(tmp_path / "bad"))


def test_the_copies_in_a_crate_are_no_manifests_of_the_run(crate):
    found = check.find(crate.parent)
    assert found and not any(made.path.is_relative_to(crate) for made in found)


def test_every_manifest_is_an_action_between_manifests_and_the_bulk_stays_out(crate):
    graph = json.loads((crate / "ro-crate-metadata.json").read_text(encoding="utf-8"))["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    action = entities["#train/sd3_f16_wlf/pipeline.json"]
    assert {read["@id"] for read in action["object"]} == {
        *("sources/sd3.json", "train/sd3_f16_wlf/step-000600.json")
    }
    assert [made["@id"] for made in action["result"]] == ["train/sd3_f16_wlf/pipeline.json"]
    assert entities["#run"]["instrument"] == {"@id": "Snakefile"}
    files = {path.relative_to(crate).as_posix() for path in crate.rglob("*") if path.is_file()}
    assert {"Snakefile", "rules/train.smk", "config.yaml", "tables/table_3.md"} <= files
    assert not any("bulk.txt" in name or "__pycache__" in name for name in files)


def test_a_crate_is_made_again_and_nothing_but_a_crate_is_replaced(crate):
    command = [sys.executable, SCRIPTS / "crate.py", crate.parent, "--output"]

    def make(target: Path) -> subprocess.CompletedProcess:
        return subprocess.run([*command, target], capture_output=True, text=True, encoding="utf-8")

    assert make(crate).returncode == 0 and (crate / "ro-crate-metadata.json").is_file()
    done = make(crate.parent)
    assert done.returncode == 1 and "would be deleted" in done.stderr
    assert (crate.parent / "config.yaml").is_file()
