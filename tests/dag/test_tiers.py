"""The configurations for those who have one GPU: what they plan, and beside which numbers."""

import json
import shlex

import pytest
import yaml

from configs import ROOT

NETWORKS = ("clip", "clip_large", "aesthetics_head", "inception", "inception_clean")


def of(name: str) -> tuple[str, ...]:
    return "--configfile", f"config/{name}.yaml", "--config", "run=unmade"


def tier(checkout, name: str, *targets: str) -> dict[str, int]:
    return checkout.plan(*targets, *of(name))


def test_the_released_checkpoint_is_checked_without_training_or_training_images(checkout):
    planned = tier(checkout, "released", "table_3")
    assert not {"train", "train_kept", "latents", "export", "reconstruct"} & set(planned)
    assert planned["check_data"] == 1
    assert planned["generate"] == 3 * 14
    # of the whole data set, only what the evaluations read
    assert planned["fetch_source"] == len(["eval", "sd3", "flux", "flux_wavelet", *NETWORKS])


def test_its_cells_have_the_papers_numbers_beside_them(checkout):
    line = checkout.command("results/unmade/tables/table_3.json", *of("released"))
    words = shlex.split(line)
    spec = json.loads(words[words.index("--spec") + 1])
    rows = {row["key"]: row for row in spec["rows"]}
    assert rows["flux_wavelet"]["published_as"] == "flux_f16_wlf"
    # a part of the paper's data set, by another name, is no other data set: a miss has no excuse
    about, *footer = spec["footer"]
    assert about.startswith("This run: the authors' released") and footer == ["fidelity: published"]


@pytest.mark.parametrize(("name", "trainings"), [("released", 0), ("small", 0), ("weekend", 10)])
def test_all_of_a_tier(checkout, name, trainings):
    planned = tier(checkout, name, "all")
    assert planned.get("train", 0) + planned.get("train_kept", 0) == trainings
    assert planned["table"] >= 5
    assert planned["judge_claims"] == 1


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("weekend", ("tables/table_7", "tables/table_11", "figures/figure_9")),
        ("released", ("tables/table_3", "figures/figure_7")),
        ("small", ("tables/table_3", "figures/figure_10")),
    ],
)
def test_a_tier_says_what_it_is_below_whatever_it_shows(checkout, name, targets):
    about = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text(encoding="utf-8"))["about"]
    for target in targets:
        line = checkout.command(f"results/unmade/{target}.json", *of(name))
        assert about in " ".join(shlex.split(line)), target


def test_the_weekends_rows_and_footers_say_its_steps_and_both_batches(checkout):
    line = checkout.command("results/unmade/tables/table_7.json", *of("weekend"))
    words = shlex.split(line)
    spec = json.loads(words[words.index("--spec") + 1])
    labels = [row["label"] for row in spec["rows"]]
    assert labels[1:] == [f"SD3-F16-{of_row} (5,000 steps)@4096" for of_row in ("finetune", "WLF")]
    (settings,) = (text for text in spec["footer"] if text.startswith("Not as in the paper"))
    assert "global_batch = 16 (released code: 64)" in settings
    assert "steps = 5000 (paper: 20000)" in settings
