"""Figure 6 from made-up votes: bars as long as the rates, and a word where there are none."""

import json

import numpy as np
import pytest
from PIL import Image

import figure
import tiny_tables
from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.figures import preference
from diffusion4k.figures.shown import Shown

LABELS = {"wlf,base": "WLF over base", "flux,sd3": "Flux over SD3"}


def row(question, rate, by="people", pair=("wlf", "base")):
    interval = [max(rate - 0.1, 0), min(rate + 0.1, 1)]
    of = {"better": pair[0], "than": pair[1], "question": question, "by": by}
    return of | {"rate": rate, "interval": interval, "n": 20, "prompts": 10}


RATES = [
    row("fine_details", 0.8),
    row("visual_aesthetics", 0.25, by="judge:m"),
    row("visual_aesthetics", 0.6),
]


def bars(drawn):
    """(colour, left, width) of a panel's bars from top to bottom."""
    patches = sorted(drawn.patches, key=lambda bar: (bar.get_y(), bar.get_x()))
    return [(bar.get_facecolor(), bar.get_x(), bar.get_width()) for bar in patches]


def test_a_bar_is_as_long_as_its_rate_people_before_judges(tmp_path):
    votes = tiny_tables.made(tmp_path / "votes.json", {"win_rates": RATES})
    drawn = preference.bars(Shown({"wlf,base": [votes]}, {"wlf,base": "WLF over base"}))
    (panel,) = drawn.axes
    found = bars(panel)
    assert [width for _, _, width in found] == pytest.approx([60, 40, 25, 75, 80, 20])
    assert [left for _, left, _ in found] == pytest.approx([0, 60, 0, 25, 0, 80])
    people, judge, again = (found[i][0] for i in (0, 2, 4))
    assert people == again != judge
    ticks = [text.get_text() for text in panel.get_yticklabels()]
    assert ticks == ["people (n = 20)", "judge m (n = 20)", "people (n = 20)"]
    shown = [text.get_text() for text in panel.texts]
    assert shown == ["Visual Aesthetics", "60 %", "25 %", "Fine Details", "80 %"]
    ends = sorted({round(float(x)) for line in panel.lines for x in line.get_xdata()})
    assert ends == [15, 35, 50, 70, 90]


def test_without_votes_the_figure_says_how_to_get_them(tmp_path):
    spec = json.dumps(
        {"title": "Figure 6", "labels": LABELS, "settings": {"reason": "votes needed: ask"}}
    )
    output = tmp_path / "figure_6.json"
    votes = tiny_tables.made(tmp_path / "votes.json", {"win_rates": RATES}).path
    for rows in ([], ["--rows", f"wlf,base={votes}"]):
        words = ["votes", "--spec", spec, *rows, "--output", str(output)]
        figure.run(figure.parser().parse_args(words))
        pixels = np.asarray(Image.open(tmp_path / "figure_6.png").convert("RGB"))
        assert (pixels < 128).any()
    made = manifest.read(output)
    assert made.results["title"] == "Figure 6" and tiny_tables.SAID in made.notes
    drawn = preference.bars(Shown({}, LABELS, {"reason": "votes needed: ask"}))
    texts = [[text.get_text() for text in panel.texts] for panel in drawn.axes]
    assert texts == [["votes needed: ask"]] * 2


def test_a_question_that_nobody_asks_is_refused(tmp_path):
    votes = tiny_tables.made(tmp_path / "votes.json", {"win_rates": [row("colour", 0.5)]})
    with pytest.raises(UserError, match="no question 'colour'"):
        preference.bars(Shown({"wlf,base": [votes]}, {"wlf,base": "WLF over base"}))
