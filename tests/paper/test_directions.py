"""A cell whose value is not as published, and whose direction is."""

import pytest
from test_verdicts import assemble, cell, clipscore, numbers

from configs import resolve as resolved
from diffusion4k.paper import latex, render
from tiny_tables import NOTE


@pytest.mark.parametrize(
    ("ours", "ends", "verdict"),
    [
        (33.0, [0.9, 1.1], "direction reproduced"),
        (32.1, [-0.1, 0.3], "not reproduced"),  # the interval holds zero
        (31.0, [-1.1, -0.9], "not reproduced"),  # the other sign
        (34.04, [1.9, 2.1], "reproduced"),
    ],
)
def test_a_value_that_misses_may_still_have_the_papers_direction(tmp_path, ours, ends, verdict):
    """Published 34.04 against 31.50; the paired interval decides, as of claims."""
    scores = {"sd3_f16": clipscore(32.0, 0.1), "sd3_f16_wlf": clipscore(ours, 0.1)}
    values = numbers(tmp_path, "alignment", scores)
    difference = {"clipscore": {"value": ours - 32, "n": 2781, "interval": ends}}
    against = numbers(tmp_path / "pair", "alignment", {"sd3_f16_wlf": difference})
    table = assemble(resolved(), "table_3", values, against)
    found = cell(table, "sd3_f16_wlf", "clipscore")
    assert found["verdict"] == verdict
    directed = verdict == "direction reproduced"
    said = f"to SD3-F16@2048 it is {ours - 32:+.2f} [{ends[0]:+.2f}, {ends[1]:+.2f}]"
    assert (said in found["verdict_reason"]) == directed
    # its base misses too, and has no row that it is compared with
    assert cell(table, "sd3_f16", "clipscore")["verdict"] == "not reproduced"
    # in all forms
    assert ("−1.04 ✗→" in render.markdown(table)) == directed
    assert ("\n- ✗→ direction reproduced: the value is" in render.markdown(table)) == directed
    assert (r"$-$1.04 $\times$$\rightarrow$" in latex.latex(table)) == directed
    assert ('aria-label="direction reproduced"' in render.html(table)) == directed
    assert (",direction reproduced," in render.tidy_csv(table)) == directed
    assert "→" not in latex.latex(table, ours_only=True)


def test_a_direction_needs_both_rows_numbers_and_a_base_that_is_not_miniature(tmp_path):
    wlf = numbers(tmp_path, "alignment", {"sd3_f16_wlf": clipscore(33.0, 0.1)})
    alone = assemble(resolved(), "table_3", wlf)
    assert cell(alone, "sd3_f16_wlf", "clipscore")["verdict"] == "not reproduced"
    scores = {"sd3_f16": clipscore(32.0, 0.1)}
    toy = numbers(tmp_path / "toy", "alignment", scores, notes=[NOTE])
    beside = assemble(resolved(), "table_3", wlf | toy)
    assert cell(beside, "sd3_f16_wlf", "clipscore")["verdict"] == "not reproduced"
