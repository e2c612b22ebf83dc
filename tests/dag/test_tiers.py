"""The configurations for those who have one GPU: what they plan, and beside which numbers."""

import json
import shlex

import pytest

NETWORKS = ("clip", "clip_large", "aesthetics_head", "inception", "inception_clean")


def of(name: str) -> tuple[str, ...]:
    return "--configfile", f"config/{name}.yaml", "--config", "run=unmade"


def tier(checkout, name: str, *targets: str) -> dict[str, int]:
    return checkout.plan(*targets, *of(name))


def test_the_released_checkpoint_is_checked_without_training_or_training_images(checkout):
    planned = tier(checkout, "released", "table_3")
    assert not {"train", "train_kept", "latents", "export", "reconstruct"} & set(planned)
    assert planned["check_data"] == 1
    assert planned["generate"] == 3 * 28
    # of the whole data set, only what the evaluations read
    assert planned["fetch_source"] == len(["eval", "sd3", "flux", "flux_wavelet", *NETWORKS])


def test_its_cells_have_the_papers_numbers_beside_them(checkout):
    line = checkout.command("results/unmade/tables/table_3.json", *of("released"))
    words = shlex.split(line)
    spec = json.loads(words[words.index("--spec") + 1])
    rows = {row["key"]: row for row in spec["rows"]}
    assert rows["flux_wavelet"]["published_as"] == "flux_f16_wlf"
    # a part of the paper's data set, by another name, is no other data set: a miss has no excuse
    assert spec["footer"] == ["fidelity: published"]


@pytest.mark.parametrize(("name", "trainings"), [("released", 0), ("small", 0), ("weekend", 10)])
def test_all_of_a_tier(checkout, name, trainings):
    planned = tier(checkout, name, "all")
    assert planned.get("train", 0) + planned.get("train_kept", 0) == trainings
    assert planned["table"] >= 5
    assert planned["judge_claims"] == 1
