"""Every benchmark still runs, tiny and on the CPU; no time is asserted."""

import json
import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
SCRIPTS = sorted(
    path for path in BENCHMARKS.glob("*.py") if '__name__ == "__main__"' in path.read_text("utf-8")
)
TIMED = [path for path in SCRIPTS if "import harness" in path.read_text("utf-8")]


def run(script: Path, monkeypatch, *flags) -> None:
    monkeypatch.setattr(sys, "argv", [str(script), "--quick", *map(str, flags)])
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    runpy.run_path(str(script), run_name="__main__")


@pytest.mark.parametrize("script", TIMED, ids=lambda path: path.stem)
def test_it_measures_side_by_side_and_writes_json(script, monkeypatch, tmp_path, capsys):
    run(script, monkeypatch, "--repeats", 1, "--output", tmp_path)
    (path,) = tmp_path.glob(f"{script.stem}-*.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["quick"] and record["device"] and record["date"] and record["versions"]
    assert all(row["seconds"] > 0 for row in record["rows"])
    text = capsys.readouterr().out
    assert all(f"| {row['case']} | {row['side']} |" in text for row in record["rows"])
    if script.stem in ("generate", "train", "latents", "score", "vae"):
        assert {"ours", "reference"} <= {row["side"] for row in record["rows"]}


@pytest.mark.parametrize("script", sorted({*SCRIPTS} - {*TIMED}), ids=lambda path: path.stem)
def test_it_prints_its_figures(script, monkeypatch, capsys):
    run(script, monkeypatch)
    assert len(capsys.readouterr().out.splitlines()) > 3


def test_results_are_of_full_runs():
    for path in (BENCHMARKS / "results").glob("*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        assert not record["quick"], path
        assert record["device"] and record["date"], path
