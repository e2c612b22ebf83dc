"""What the report says first: the states of the paper's 24 items, the claims by verdict."""

import json
import time

import pytest

from configs import load, resolve
from diffusion4k import manifest
from diffusion4k.config import resolve as resolve_
from diffusion4k.paper import claims
from diffusion4k.paper.report import answer, notes
from diffusion4k.run import report
from diffusion4k.sources.miniature import notes as miniature


def cell(verdict, ours=1.0, published=1.0, reason=""):
    return {"verdict": verdict, "ours": ours, "published": published, "published_note": "",
            "verdict_reason": reason}  # fmt: skip


def made(path, results, **record):
    path.parent.mkdir(parents=True, exist_ok=True)
    empty = {"inputs": {}, "settings": {}} | record
    manifest.write(path, root=path.parent, files=[], results=results, started=time.time(), **empty)
    return manifest.read(path)


def state(tmp_path, *cells, context=()):
    rows = [{"cells": {"fid": one}} for one in cells]
    rows += [{"cells": {"fid": one}, "context": True} for one in context]
    table = made(tmp_path / "table_3.json", {"rows": rows})
    items = {item.key: item for item in answer.matrix([table], [], [], resolve())}
    return items["table_3"].state, items["table_3"].detail, *items["table_3"].sign


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["reproduced", "not judged"], ("reproduced", "1 reproduced", "✓", "yes")),
        (["not reproduced"], ("not reproduced", "1 not reproduced", "✗", "no")),
        (
            ["not reproduced", "reproduced", "not reproduced"],
            ("reproduced in part", "1 reproduced, 2 not reproduced", "✓✗", "open"),
        ),
        # its value is not as published
        (["direction reproduced"], ("reproduced in part", "1 direction reproduced", "✓✗", "open")),
        (["not judged", "not judged"], ("made, not judged", "2 numbers of ours", "●", "made")),
    ],
)
def test_a_table_that_is_whole(tmp_path, cells, expected):
    assert state(tmp_path, *map(cell, cells)) == expected


def test_a_table_with_gaps(tmp_path):
    lacking = cell("cannot be run", ours=None, reason="never released")
    assert state(tmp_path, cell("reproduced"), lacking) == (
        *("partly made", "1 reproduced, 1 cannot be run", "◐", "made"),
    )
    missed = state(tmp_path, cell("not reproduced"), cell("not run", ours=None))
    assert missed == ("partly made", "1 not reproduced, 1 not run", "◐", "no")
    assert state(tmp_path, cell("not judged"), cell("not run", ours=None)) == (
        *("partly made", "1 number of ours, 1 not run", "◐", "made"),
    )
    assert state(tmp_path, lacking)[:2] == ("cannot be run", "never released")
    assert state(tmp_path, cell("not run", ours=None))[:2] == ("not in this run", "not run")
    # others' numbers are not ours to make
    assert state(tmp_path, cell("reproduced"), context=[cell("not run", ours=None)])[0] == (
        "reproduced"
    )
    # no memory, as published: a result without a number
    assert state(
        tmp_path, cell("reproduced", ours=None, published=None) | {"published_note": "OOM"}
    ) == (*("reproduced", "1 reproduced", "✓", "yes"),)


def test_every_item_of_the_paper_has_a_state_and_a_link_where_it_is_shown(tmp_path):
    config = resolve()
    figure = made(tmp_path / "figure_13.json", {"pictures": []})
    items = answer.matrix([], [figure], [], config)
    assert [item.name for item in items[:2]] == ["Table 1", "Table 2"]
    assert len(items) == 11 + 13 and items[-1].name == "Figure 13"
    assert items[-1].link == "#figure_13" and items[-1].state == "made, not judged"
    assert {item.state for item in items[:-1]} == {"not in this run"}
    titled = [item.title for item in items if item.key in config["tables"] | config["figures"]]
    assert all(titled)


def test_a_figure_is_judged_by_its_claims_and_partly_made_without_a_row(tmp_path):
    spec = '{"title": "t", "labels": {"a": "A@64", "b": "B@64"}}'
    whole = made(
        tmp_path / "figure_6.json",
        {"pictures": [{}] * 3},
        settings={"spec": spec},
        inputs={"a:0": tmp_path / "x.json", "b:0": tmp_path / "x.json"},
    )
    claim = {"target": "figure_6", "verdict": "direction reproduced"}
    miss = claim | {"verdict": "not reproduced"}
    alike = claim | {"verdict": "cannot be told apart"}
    for claims_, expected in (
        ([claim], ("reproduced", "1 direction reproduced", "reproduced")),
        ([miss], ("not reproduced", "1 not reproduced", "not reproduced")),
        (
            [miss, claim, claim],
            (
                "reproduced in part",
                "2 direction reproduced, 1 not reproduced",
                "reproduced in part",
            ),
        ),
        ([alike], ("made, not judged", "1 cannot be told apart", "")),
        ([], ("made, not judged", "3 pictures", "")),
    ):
        assert answer._figure(whole, claims_) == expected
    half = made(tmp_path / "half.json", {}, settings={"spec": spec}, inputs={"a:0": "x.json"})
    assert answer._figure(half, []) == ("partly made", "without B@64", "")
    # it is drawn where nobody voted, to say how to get votes
    spec = '{"title": "t", "labels": {"a,b": "A over B"}, "settings": {"reason": "votes needed"}}'
    empty = made(tmp_path / "empty.json", {}, settings={"spec": spec})
    assert answer._figure(empty, []) == ("cannot be run", "votes needed", "")


def test_what_shows_other_rows_than_the_papers_says_so(tmp_path):
    """As Figure 7 of the miniature, which has no PixArt-Sigma."""
    figure = made(tmp_path / "figure_7.json", {"pictures": [{}] * 8})
    rows = [{"cells": {"fid": cell("reproduced")}}]
    table = made(tmp_path / "table_3.json", {"rows": rows})
    failed = made(tmp_path / "table_4.json", {"rows": [{"cells": {"cr": cell("not reproduced")}}]})
    lacking = {"figure_7": ["PixArt-Sigma@2048"], "table_3": ["SD3-F16@2048", "b"], "table_4": "b"}
    found = answer.matrix([table, failed], [figure], [], resolve(), lacking)
    items = {item.key: item for item in found}
    shown = items["figure_7"]
    assert shown.state == "made with other rows" and shown.sign == ("◐", "made")
    assert shown.detail == "8 pictures; other rows: no PixArt-Sigma@2048"
    # no whole ✓ for a part of the rows, and no miss hidden
    assert items["table_3"].detail == "1 reproduced; other rows: no SD3-F16@2048, b"
    assert items["table_3"].sign == ("◐", "made") and items["table_4"].sign == ("◐", "no")


def rows_lacking(*names):
    return json.loads(report.lacking(resolved(*names)))


def resolved(*names):
    raw = load("config.yaml", *names)
    return resolve_.resolve(raw)


def test_rows_are_held_against_the_papers_own():
    assert rows_lacking() == {} == rows_lacking("baselines.yaml")  # more rows are no others
    miniature = rows_lacking("miniature.yaml")
    assert miniature == {
        "figure_7": ["PixArt-Sigma@2048"],
        "figure_8": ["Flux-F16-WLF (released)@4096", "Sana@4096"],
    }
    released = rows_lacking("released.yaml")
    # the authors' weights are the row whose numbers they have
    assert "figure_1" not in released
    assert released["table_3"] == ["SD3-F16-WLF@2048"] == released["figure_10"]
    assert released["table_9"] == ["Aesthetic-Train"] == released["figure_3"]


def test_the_answer_in_a_sentence():
    def judged(*verdicts):
        return [{"verdict": v, "detail": "why", "target": "table_3"} for v in verdicts]

    item = answer.Item("table_3", "Table 3", "FID", answer.PARTLY, "")
    some = judged("reproduced", "direction reproduced", "not reproduced", "not run")
    text = answer.sentence(some, [item], False)
    assert "made 1 (1 in part)" in text
    assert text.endswith("Of its 4 claims 3 could be judged: 2 reproduced, 1 not reproduced.")
    none = answer.sentence(judged("not judged", "cannot be run"), [item], True)
    reasons = "1 for its miniature or random inputs, 1 cannot be run"
    assert none.endswith(f"Of its 2 claims this run can judge none: {reasons}.")
    others = answer.Item("figure_7", "Figure 7", "", answer.OTHERS, "")
    text = answer.sentence(some, [item, others], False)
    assert "made 2 (1 in part, 1 with other rows)" in text
    groups = answer.groups(judged("not run", "not judged", "not run"), {"table_3"})
    assert [(group["verdict"], len(group["claims"]), group["why"]) for group in groups] == [
        *(("not judged", 1, ""), ("not run", 2, "why"))
    ]
    assert groups[1]["claims"][0]["detail"] == ""


def test_every_verdict_and_state_has_a_sign_beside_its_word():
    assert set(claims.VERDICTS) | set(answer.STATES) == set(answer.SIGNS)


def test_notes_are_said_once():
    footers = [["fidelity: published", "Ours: n = 6", "[1] a"], ["fidelity: published", "[1] a"],
               ["Ours: n = 6", miniature.PIPELINE.format("sd3")]]  # fmt: skip
    common = notes.shared(footers)
    assert common == ["fidelity: published"]
    assert notes.split(footers[0], common) == (["Ours: n = 6", "[1] a"], [1], False)
    assert notes.split(footers[2], common) == (["Ours: n = 6"], [], True)


def test_the_papers_list_is_the_configurations():
    config = load("config.yaml")
    known = {*config["tables"], *config["figures"]}
    assert len(known & set(answer.PAPER)) >= 22


def test_settings_are_told_from_other_notes_and_a_reason_from_what_mends_it():
    long = "Not as in the paper: train: steps = 600 (paper: 20000)"
    assert notes.settings([long, "Ours: n = 6"]) == ([long], ["Ours: n = 6"])
    reasons = ["never released: give a.path", "never released: give b.path", "no GPU"]
    assert answer._why(reasons) == "never released; no GPU"
