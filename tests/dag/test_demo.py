"""`make demo`: what it says on the way, and of a failure."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import demo
import summary
from conftest import ROOT, Workflow
from diffusion4k.errors import UserError

PLANNED = (
    "Job stats:\njob  count\n---  ---\nlatents   2\ntrain   1\nexport   1\nall   1\ntotal   5\n"
)


def test_a_stage_has_its_line_when_its_last_job_has_ended(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    progress = demo.StageLines()
    for line in PLANNED.splitlines(keepends=True):
        progress.read(line)
    for rule in ("train", "latents", "export"):
        progress.read(f"Finished jobid: 3 (Rule: {rule})\n")
    assert re.fullmatch(r"\s+0:00  train +2 of 2 jobs\n", capsys.readouterr().out)


def test_every_job_of_the_miniature_is_of_a_stage_in_the_order_data_flows(checkout, monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = checkout.plan("all", "--configfile", "config/miniature.yaml", "--config", "run=unmade")
    of = demo.stages()
    assert set(plan) - set(of) == {"all"}
    order = list(dict.fromkeys(of.values()))
    assert [s for s in order if s in {of.get(rule) for rule in plan}] == [
        *("sources", "data", "latents", "train", "vae", "generate", "draw", "metrics", "figures"),
        *("paper", "claims", "report"),
    ]


def test_every_demo_ends_with_a_table_that_it_makes(tmp_path):
    """Each target of the Makefile that runs demo.py, and what summary.py then prints."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = re.findall(r"scripts/demo\.py(.*)\n.*scripts/summary\.py (.*)", text)
    assert len(recipes) == 3
    for started, printed in recipes:
        files = re.findall(r"--config (\S+)", started) or ["config/miniature.yaml"]
        config = yaml.safe_load((ROOT / files[0]).read_text(encoding="utf-8"))
        args = summary.parser().parse_args(printed.split())
        assert args.run == Path("results") / config["run"]
        assert args.table in config.get("targets", [args.table])
    (tmp_path / "report.html").touch()
    with pytest.raises(UserError, match=r"table_s1\.md: this run made no such table"):
        summary.run(summary.parser().parse_args([str(tmp_path)]))


def run(workflow: Workflow) -> subprocess.CompletedProcess:
    command = [sys.executable, "scripts/demo.py"]
    return subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("config/miniature.yaml", "steps: 900", "steeps: 900", "unknown key"),
        (
            "scripts/make_miniature.py",
            "started = time.time()",
            "import sys; sys.exit(f\"error: torch was there: {'torch' in sys.modules}\")",
            "error: torch was there: True",  # the job is a fork of the demo's own Python
        ),
    ],
)
def test_a_failure_is_shown_with_the_failed_jobs_log(workflow, file, old, new, said):
    path = workflow.folder / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    done = run(workflow)
    assert done.returncode == 1
    assert said in done.stdout
    assert "Job stats" not in done.stdout
    assert "results/miniature/logs/snakemake.log" in done.stderr
