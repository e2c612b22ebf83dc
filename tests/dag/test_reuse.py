"""A run beside a run: `reuse:` makes only what differs, and reads the rest where it is."""

import json
from pathlib import Path

import pytest
import yaml

from conftest import Workflow
from diffusion4k.ledger import check

MINIATURE = ("--configfile", "config/miniature.yaml")
TRAINS = {"train", "train_kept", "export"}
UPSTREAM = {"make_source", "check_data", "latents", *TRAINS}


@pytest.fixture(scope="module")
def finished(simulated_miniature) -> Workflow:
    """The miniature as if it had run, with its configuration beside the results."""
    workflow = simulated_miniature
    resolved = yaml.safe_load((workflow.folder / "config/miniature.yaml").read_text())
    saved = workflow.folder / "results/miniature/config.yaml"
    saved.write_text(yaml.safe_dump(resolved), encoding="utf-8")
    return workflow


def beside(workflow: Workflow, changes: dict) -> tuple[str, ...]:
    """Flags of a run beside the miniature, with these changes."""
    config = {"base": "miniature", "run": "mine", "reuse": "miniature"} | changes
    (workflow.folder / "mine.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return ("--configfile", "mine.yaml")


def test_of_the_same_settings_only_what_people_read_is_made(finished):
    plan = finished.plan("all", *beside(finished, {}))
    report = {"html", "gallery"}
    assert set(plan) == {"all", "table", "prompt_table", "figure", "judge_claims"} | report


def test_a_profile_of_the_environment_is_the_runs_and_not_of_the_comparison(finished, monkeypatch):
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "profiles/miniature")
    assert "table" in finished.plan("all", *beside(finished, {}))


@pytest.mark.parametrize(
    "changes", [{"plan": {"price": 2.5}}, {"fidelity": {"sc_alternation": "corrected"}}]
)
def test_what_the_page_alone_says_makes_it_again_and_nothing_else(finished, changes):
    """A price; a row of `fidelity`, here of a training that the miniature has not."""
    assert not finished.plan("report", *MINIATURE)
    mine = {"base": "miniature"} | changes
    (finished.folder / "page.yaml").write_text(yaml.safe_dump(mine), encoding="utf-8")
    assert set(finished.plan("report", "--configfile", "page.yaml")) == {"html", "report"}


def test_another_metric_scores_again_and_draws_nothing(finished):
    flags = beside(finished, {"metrics": {"glcm": {"patch": 32}}})
    plan = finished.plan("all", *flags)
    anew = finished.plan("all", *MINIATURE, "--config", "run=mine")  # without the key, everything
    assert set(anew) >= UPSTREAM and plan["texture"] == anew["texture"]
    assert not (UPSTREAM | {"generate", "features", "distance", "reconstruct"}) & set(plan)
    # what the rescored numbers depend on is still told below the table
    done = finished.run("-n", "-p", "table_8", *flags)
    assert "metrics.glcm: patch = 32 (paper: 64)" in done.stdout
    assert "train: flip_probability = 0" in done.stdout and "learning_rate = 0.001" in done.stdout
    assert "note: from results/miniature: " in done.stderr
    assert "--images results/miniature/generate/sd3_f16/eval_4096/shard-0-of-1.json" in done.stdout


def test_other_sampling_draws_again_and_trains_nothing(finished):
    plan = finished.plan("all", *beside(finished, {"generate": {"negative_prompt": "blurry"}}))
    assert plan["generate"] == 9
    assert not (UPSTREAM | {"reconstruct", "reference_features"}) & set(plan)


def test_another_recipe_trains_its_model_from_the_same_latents(finished):
    mine = {"objective": "velocity", "wavelet": "haar", "levels": 1, "band_weights": [1, 1, 1, 1]}
    model = {"label": "Mine", "backbone": "sd3", "recipe": "mine", "tables": ["table_8"]}
    flags = beside(finished, {"recipes": {"mine": mine}, "models": {"mine": model}})
    plan = finished.plan("table_8", *flags)
    assert (plan["train"], plan["train_kept"], plan["export"], plan["generate"]) == (1, 1, 1, 1)
    assert not {"make_source", "latents", "check_data"} & set(plan)
    first = finished.command("results/mine/train/mine/step-000450.json", *flags)
    assert "--latents results/miniature/latents/sd3/shard-0-of-1.json" in first
    assert "--progress-folder results/mine/train/mine/progress/" in first


def test_a_longer_training_goes_on_from_the_other_runs_last_segment(finished):
    flags = beside(finished, {"train": {"steps": 1350}})
    plan = finished.plan("table_10", *flags)
    assert plan["train_kept"] == 2 and "train" not in plan


def test_what_would_differ_or_is_out_of_date_there_is_not_taken(finished):
    flags = beside(finished, {"latents": {"size": 128}})
    plan = finished.plan("table_10", *flags)
    assert plan["latents"] == 2 and plan["train_kept"] == 2 and "make_source" not in plan
    path = finished.folder / "scripts/diffusion4k/train/wavelet.py"
    before = path.read_text(encoding="utf-8")
    path.write_text(before + "\nADDED = 1\n", encoding="utf-8")
    plan = finished.plan("table_10", *beside(finished, {}))
    path.write_text(before, encoding="utf-8")
    assert plan["train"] == plan["train_kept"] == 2 and "latents" not in plan
    lost = finished.folder / "results/miniature/latents/sd3/shard-0-of-1.json"
    lost.rename(lost.with_suffix(".away"))
    plan = finished.plan("table_10", *beside(finished, {}))
    lost.with_suffix(".away").rename(lost)
    assert plan["latents"] == 1 and plan["train_kept"] == 1


def test_jobs_read_where_the_run_decided_and_nothing_is_made_twice(finished):
    """The decision is made once, at the start; each job is a further process of Snakemake."""
    flags = beside(finished, {"metrics": {"glcm": {"patch": 32}}, "run": "started"})
    target = "results/started/metrics/sd3_f16/eval_4096/texture-0-of-1.json"
    done = finished.run(target, *flags, check=False)  # "{}" is no manifest
    assert "results/miniature/generate/sd3_f16/eval_4096/shard-0-of-1.json" in done.stderr
    assert "MissingInput" not in done.stderr
    log = finished.folder / "results/started/logs/metrics/sd3_f16/eval_4096/texture-0-of-1.log"
    assert "not a manifest" in log.read_text(encoding="utf-8")
    text = Path(finished.folder, "results/started/reused.json").read_text(encoding="utf-8")
    taken = json.loads(text)["reused"]
    assert "generate/sd3_f16/eval_4096/shard-0-of-1.json" in taken
    assert "metrics/sd3_f16/eval_4096/texture-0-of-1.json" not in taken
    assert not [name for name in taken if name.startswith(("tables", "figures", "report"))]
    damaged = {}
    check.find(Path(finished.folder, "results/started"), damaged)  # as `verify`, `repair`, `crate`
    assert not damaged


def test_what_nobody_knows_the_settings_of_is_not_taken(finished):
    records = finished.folder / ".snakemake/metadata"
    records.rename(records.with_name("away"))
    done = finished.run("-n", "table_10", *beside(finished, {}), check=False)
    itself = finished.run("-n", "table_10", *MINIATURE).stderr
    records.with_name("away").rename(records)
    assert "note: results/miniature is a copy without Snakemake's records" in itself
    assert "is a copy" not in finished.run("-n", "table_10", *MINIATURE).stderr
    assert done.returncode != 0
    assert "no record of how results/miniature was made" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reuse": "papre"}, "reuse: nothing has run in results/papre; runs here: miniature"),
        ({"reuse": "mine"}, "reuse: mine is this run"),
    ],
)
def test_a_run_that_is_not_there_is_one_line(finished, changes, said):
    done = finished.run("-n", "table_8", *beside(finished, changes), check=False)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
