"""The real DAG: what each target plans, and the five laws of code as an input."""

import os
import re
import time
from pathlib import Path

import pytest

import edits
from conftest import PARTS, Workflow

TRAINS = {"latents", "train", "train_kept", "export"}
MINIATURE = ("--configfile", "config/miniature.yaml")


# what each named target takes, at the paper's scale


def test_tables_plan_the_papers_dag(checkout):
    plan = checkout.plan("tables", "--config", "run=unmade")
    assert plan["train"] + plan["train_kept"] == 3 * 20000 // 5000
    assert plan["train_kept"] == plan["export"] == 3
    assert plan["generate"] == 4 * 14 + 4 * 5
    assert plan["efficiency"] == 6
    assert plan["latents"] == 2 * 8
    assert plan["table"] == 18


@pytest.mark.parametrize("arguments", [["tables"], ["all"], ["tables", "--until", "fetch_source"]])
def test_only_the_sources_that_a_target_needs_are_fetched(checkout, arguments):
    done = checkout.run("-n", *arguments, "--config", "run=unmade")
    fetched = re.findall(r"output: results/unmade/sources/(\w+)\.json", done.stdout)
    needed = "aesthetic_4k aesthetics_head clip clip_large flux sd3 vgg16 inception inception_clean"
    needed += " flux_wavelet pixart_sigma_1024 pixart_sigma_2k sana_4k" * (arguments == ["all"])
    assert set(fetched) == set(needed.split())
    assert ("rule generate:" in done.stdout) == ("--until" not in arguments)


def test_a_dry_run_names_the_gated_sources_and_downloads_nothing(checkout):
    done = checkout.run("-n", "tables", "--config", "run=unmade")
    assert "stabilityai/stable-diffusion-3-medium-diffusers is gated" in done.stdout
    assert "black-forest-labs/FLUX.1-dev is gated" in done.stdout
    assert "HF_TOKEN" in done.stdout
    assert not (checkout.folder / "results" / "unmade").exists()


def test_without_a_token_no_job_starts(workflow, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nothing"))
    for name in ("HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    done = workflow.run("table_3", check=False)
    assert done.returncode != 0
    assert "is gated" in done.stdout + done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("target", "planned", "unplanned"),
    [
        ("table_1", {"table"}, TRAINS | {"generate", "texture", "quality", "correlate"}),
        ("table_2", {"reconstruct"}, TRAINS | {"generate"}),
        ("table_3", {"features", "generate"} | TRAINS, {"texture", "distance", "reconstruct"}),
        ("table_4", {"texture", "generate"} | TRAINS, {"features", "reference_features"}),
        ("table_7", {"features"}, {"texture", "reference_features"}),
        ("table_8", {"texture"}, {"features"}),
        ("table_9", {"check_data"}, TRAINS | {"generate", "features"}),
        ("table_10", {"train_kept"}, {"export", "generate"}),
    ],
)
def test_a_target_plans_only_what_it_needs(checkout, target, planned, unplanned):
    plan = checkout.plan(target, "--config", "run=unmade")
    assert planned <= set(plan)
    assert not unplanned & set(plan)


def test_ratings_plan_table_1_and_a_comparison_reads_scores_of_both_models(workflow, tmp_path):
    for name in ("musiq.pth", "maniqa.pth", "ratings.csv"):
        (workflow.folder / name).write_text("x", encoding="utf-8")
    (workflow.folder / "mine.yaml").write_text(
        "sources: {musiq: {path: musiq.pth}, maniqa: {path: maniqa.pth}}\n"
        "ratings: {path: ratings.csv, evaluation: eval_4096, models: [sd3_f16]}\n",
        encoding="utf-8",
    )
    flags = ("--configfile", "config/miniature.yaml", "mine.yaml")
    plan = workflow.plan("table_1", *flags)
    assert plan["correlate"] == 4
    assert plan["quality"] == plan["texture"] == 1
    done = workflow.run("table_1", *flags, check=False)
    assert done.returncode != 0
    assert "run `make env-iqa`" in done.stdout + done.stderr
    comparison = "results/miniature/metrics/sd3_f16_wlf/eval_4096/texture-against-sd3_f16.json"
    assert workflow.plan(comparison, *flags)["texture"] == 2


def test_tables_of_one_size_generate_nothing_of_the_other(checkout):
    for target, size, other in (("table_3", 2048, 4096), ("table_7", 4096, 2048)):
        done = checkout.run("-n", target, "--config", "run=unmade")
        assert f"eval_{size}/shard-0-of-" in done.stdout
        assert f"eval_{other}/shard-0-of-" not in done.stdout


def test_a_configuration_fault_is_said_before_the_dag(workflow):
    done = workflow.run("-n", "tables", "--config", "trian=3", check=False)
    assert done.returncode != 0
    assert "unknown key 'trian'; did you mean train?" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


# the five laws, on a DAG whose every output is made


@pytest.fixture(scope="module")
def made(simulated_miniature) -> Workflow:
    """The miniature's DAG as if it had run: each output exists, each job's params are recorded."""
    workflow = simulated_miniature
    assert workflow.plan("all", *MINIATURE) == {}
    return workflow


def edit(workflow: Workflow, script: str, old: str, new: str) -> Path:
    path = workflow.folder / "scripts" / script
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_law_1_a_touch_or_a_fresh_checkout_is_no_edit(made):
    later = time.time() + 100
    for part in PARTS:
        for path in [made.folder / part, *(made.folder / part).rglob("*")]:
            os.utime(path, (later, later))
    assert made.plan("all", *MINIATURE) == {}


def test_law_2_a_comment_a_docstring_or_formatting_is_no_edit(made):
    path = made.folder / "scripts/diffusion4k/train/wavelet.py"
    before = path.read_text(encoding="utf-8")
    path.write_text(
        '"""Another docstring."""\n\n# a comment\n' + before.split('"""', 2)[2], encoding="utf-8"
    )
    assert made.plan("all", *MINIATURE) == {}
    path.write_text(before, encoding="utf-8")


def test_laws_3_and_4_an_edit_reruns_what_it_reaches_and_undoing_it_nothing(made):
    path = made.folder / "scripts/diffusion4k/train/wavelet.py"
    before = path.read_text(encoding="utf-8")
    path.write_text(before + "\nADDED = 1\n", encoding="utf-8")
    plan = made.plan("all", *MINIATURE)
    assert plan["train"] == plan["train_kept"] == 3
    assert not {"make_source", "latents", "reconstruct", "check_data"} & set(plan)
    # the untrained models' images stand
    assert plan["generate"] == 5
    path.write_text(before, encoding="utf-8")
    assert made.plan("all", *MINIATURE) == {}


def test_law_3_one_backbones_code_is_not_the_others(made):
    path = made.folder / "scripts/diffusion4k/backbones/flux.py"
    before = path.read_text(encoding="utf-8")
    path.write_text(before + "\nADDED = 1\n", encoding="utf-8")
    done = made.run("all", "-n", *MINIATURE).stdout
    assert "train/flux_f16_wlf/step-000" in done
    assert "output: results/miniature/train/sd3" not in done
    assert "output: results/miniature/latents/sd3" not in done
    path.write_text(before, encoding="utf-8")


def test_law_5_an_edit_known_to_be_harmless_is_accepted_by_one_command(made):
    path = made.folder / "scripts/diffusion4k/train/wavelet.py"
    before = path.read_text(encoding="utf-8")
    path.write_text(before + "\nADDED = 2\n", encoding="utf-8")
    assert made.plan("all", *MINIATURE)
    made.run("all", "--touch", *MINIATURE)
    assert made.plan("all", *MINIATURE) == {}
    path.write_text(before, encoding="utf-8")
    made.run("all", "--touch", *MINIATURE)


def test_an_edit_of_what_tells_checks_and_records_plans_no_job(made):
    """All of them at once, by Snakemake itself; tests/dag/edits.txt says it of each alone."""
    library = made.folder / "scripts/diffusion4k"
    scripts = [made.folder / "scripts" / f"{name}.py" for name in ("train", "latents", "generate")]
    before = {p: p.read_text(encoding="utf-8") for p in [*library.glob("*.py"), *scripts]}
    for path, text in before.items():
        path.write_text(text + edits.EDIT, encoding="utf-8")
    plan = made.plan("all", *MINIATURE)
    for path, text in before.items():
        path.write_text(text, encoding="utf-8")
    assert plan == {}


def changed(made: Workflow, text: str) -> tuple[str, ...]:
    """Flags of the miniature with a config file of one's own on top."""
    (made.folder / "config" / "change.yaml").write_text(text, encoding="utf-8")
    return (*MINIATURE, "config/change.yaml")


def test_an_unrelated_key_reruns_nothing_and_a_related_one_its_slice(made):
    assert made.plan("all", *changed(made, "generate: {offload: true}")) == {}
    plan = made.plan("all", *changed(made, "backbones: {sd3: {generate: {steps: 21}}}"))
    assert plan["generate"] == 5
    assert not TRAINS & set(plan)


def test_longer_training_reruns_no_finished_segment(made):
    plan = made.plan("table_10", *changed(made, "train: {steps: 1350}"))
    assert plan["train_kept"] == 2
    assert "train" not in plan
