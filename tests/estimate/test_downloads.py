"""What `plan` says of downloads: sizes that are known, a data set's reckoned, their sum."""

import csv
import re

import pytest
from test_plan import ROOT, resolved

from diffusion4k.estimate import plan, repositories, words


def test_sizes_of_sources_are_summed_and_the_data_set_is_reckoned(tmp_path):
    made = plan.Plan(resolved())
    # images x mean height x mean width x 3 bytes of Table 9, a JPEG being an eleventh
    pixels = 12015 * 4578 * 4838 + 2781 * 3143 * 3746 + 195 * 5269 * 6420
    assert made.source_gb("aesthetic_4k") == pytest.approx(pixels * 3 / 11 / 1e9)
    told = "\n".join(words.sources(made))
    assert re.search(r"^aesthetic_4k .* ≈ 83.3$", told, re.MULTILINE)
    assert re.search(r"^sana_4k .* \?$", told, re.MULTILINE)
    assert re.search(r"^all +at least ≈ 179$", told, re.MULTILINE)
    assert re.search(r"^≈: .*Table 9", told, re.MULTILINE)
    part = plan.Plan(resolved("small.yaml"))  # the folders that are evaluated
    assert part.source_gb("aesthetic_4k_eval") == pytest.approx(10.7, abs=0.05)
    (tmp_path / "eval").mkdir()
    own = {"aesthetic_4k_eval": {"path": str(tmp_path)}}
    own = plan.Plan(resolved("small.yaml", sources=own))
    assert own.source_gb("aesthetic_4k_eval") == 0
    assert re.search(r"^all +17.5$", "\n".join(words.sources(own)), re.MULTILINE)
    assert "≈" not in "\n".join(words.sources(own))


def test_mean_sides_are_those_of_table_9():
    file = ROOT / "config/published/table_9.csv"
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    published = {(row["row"], row["metric"]): int(row["value"]) for row in rows}
    sizes, splits = repositories.PHOTOGRAPHS["zhang0jhon/Aesthetic-4K"], resolved()["splits"]
    for split in ("train", "eval_2048", "eval_4096"):
        mean = tuple(published[split, f"mean_{side}"] for side in ("height", "width"))
        assert sizes[splits[split]["folder"]] == mean
