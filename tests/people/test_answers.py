"""What raters send back: read in the kit's words, refused by one line."""

import csv
import json

import pytest

import ratings
import tiny_dataset
import tiny_study
import votes
from diffusion4k.errors import UserError
from diffusion4k.metrics import correlation
from diffusion4k.people import votes as of_votes
from tiny_study import MODELS

WLF, BASE = MODELS


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    tiny_study.write(root)
    return tiny_study.kit(root, "pairs"), tiny_study.kit(root, "ratings")


def count(made, tmp_path, *answers, more=()):
    flags = ["--answers", *answers, "--kit", made.path, "--pairs", ",".join(MODELS)]
    flags += ["--dataset", made.path.parent / "data.json", "--folder", tiny_study.FOLDER, *more]
    return tiny_dataset.run(votes, *flags, "--output", tmp_path / "votes.json")


def saved(path, answers):
    path.write_text(json.dumps(answers), encoding="utf-8")
    return path


def test_what_the_kit_saves_becomes_votes_on_models(study, tmp_path):
    made, _ = study
    one = saved(tmp_path / "ann.json", tiny_study.answered(made, "Ann", WLF))
    other = tiny_study.answered(made, "Bob", BASE)
    with (tmp_path / "bob.csv").open("w", encoding="utf-8", newline="") as handle:
        head = {"kit": other["kit"], "rater": other["rater"]}
        quoted = csv.QUOTE_ALL  # as spreadsheets may save it
        writer = csv.DictWriter(handle, [*head, *other["answers"][0]], quoting=quoted)
        writer.writeheader()
        writer.writerows(head | row for row in other["answers"])
    own = tmp_path / "own.csv"
    own.write_text(
        f"{','.join(of_votes.HEADER)}\nCid,people,p5,{BASE},{WLF},fine_details,second\n",
        encoding="utf-8",
    )
    counted = count(made, tmp_path, one, tmp_path / "bob.csv", own)
    every = of_votes.read(counted.paths()[0])
    assert {v.chosen for v in every if v.rater == "Ann"} == {WLF}
    assert {v.chosen for v in every if v.rater == "Bob"} == {BASE}
    rates = {row["question"]: row for row in counted.results["win_rates"]}
    assert rates["prompt_adherence"]["rate"] == 0.5 and rates["prompt_adherence"]["n"] == 10
    assert rates["fine_details"]["n"] == 11 and rates["fine_details"]["rate"] == 6 / 11
    assert counted.results["raters"] == 3 and counted.results["refusals"] == 0
    # they never agree: 10 values, 5 of each; D_o = 1, D_e = 50/90
    alpha = counted.results["agreement"]["prompt_adherence"]["alpha"]
    assert alpha == pytest.approx(1 - 1 / (50 / 90))
    assert "made from noise" in counted.notes


def changed(answers, number=0, **cells):
    answers["answers"][number] |= cells
    return answers


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda a: a | {"kit": "0" * 16}, r"answer 1: of another kit \(0{16}\)"),
        (lambda a: changed(a, 1, item="999"), "answer 2: the kit has no item '999'"),
        (lambda a: changed(a, 1, question="colour"), "answer 2: question 'colour' is none of"),
        (lambda a: changed(a, choice="left"), "answer 1: choice 'left' is none of"),
        (lambda a: changed(a, first="a"), "answer 1: pictures 'a' and 'a', not a and b"),
        (lambda a: a | {"answers": [*a["answers"], a["answers"][0]]}, "answer 16: .*already"),
        (lambda a: a | {"answers": a["answers"][:-2]}, "Ann answered 13 of 15 questions; load"),
        (lambda a: a | {"answers": []}, "its rater answered 0 of 15 questions"),
        (lambda a: a | {"rater": " "}, "answer 1: no rater is named"),
        (lambda a: {"kit": a["kit"]}, "not what a kit of pairs saves"),
        (lambda a: [a], "not what a kit of pairs saves"),
    ],
)
def test_a_faulty_file_is_refused_by_one_line(study, tmp_path, change, fault):
    made, _ = study
    path = saved(tmp_path / "ann.json", change(tiny_study.answered(made, "Ann", WLF)))
    with pytest.raises(UserError, match=fault) as refused:
        count(made, tmp_path, path)
    assert str(refused.value).startswith(str(path)) and "\n" not in str(refused.value)
    assert not (tmp_path / "votes.json").exists()


def test_the_same_rater_twice_and_a_kit_that_is_not_given(study, tmp_path):
    made, _ = study
    answers = tiny_study.answered(made, "Ann", WLF)
    pair = [saved(tmp_path / name, answers) for name in ("a.json", "b.json")]
    with pytest.raises(UserError, match=r"b.json, answer 1: Ann answered .*a.json, answer 1"):
        count(made, tmp_path, *pair)
    flags = ["--answers", pair[0], "--pairs", "a,b", "--dataset", made.path.parent / "data.json"]
    with pytest.raises(UserError, match="answers to a kit; give the kit's manifest"):
        tiny_dataset.run(
            votes, *flags, "--folder", tiny_study.FOLDER, "--output", tmp_path / "v.json"
        )


def test_who_stopped_half_way_counts_when_that_is_asked_for(study, tmp_path):
    made, _ = study
    answers = tiny_study.answered(made, "Ann", WLF)
    path = saved(tmp_path / "ann.json", answers | {"answers": answers["answers"][:4]})
    counted = count(made, tmp_path, path, more=["--partial"])
    assert [row["n"] for row in counted.results["win_rates"]] == [2, 1, 1]


def rated(made, rater, value):
    answers = [
        {"item": item, "rating": value(e)} for item, e in tiny_study.key(made)["items"].items()
    ]
    return {"kit": tiny_study.key(made)["kit"], "rater": rater, "answers": answers}


def test_ratings_become_what_table_1_reads(study, tmp_path):
    _, made = study
    files = [
        saved(tmp_path / "ann.json", rated(made, "Ann", lambda e: 4 if e["a"] == WLF else 2)),
        saved(tmp_path / "bob.json", rated(made, "Bob", lambda e: 5 if e["a"] == WLF else 2)),
        tmp_path / "own.csv",
    ]
    files[-1].write_text(f"model,id,rating\n{WLF},p5,2.5\n", encoding="utf-8")
    flags = ["--answers", *files, "--kit", made.path, "--output", tmp_path / "ratings.json"]
    result = tiny_dataset.run(ratings, *flags)
    means = correlation.read_ratings(tmp_path / "ratings.csv")
    assert means[WLF, "p0"] == 4.5 and means[BASE, "p0"] == 2 and means[WLF, "p5"] == 2.5
    assert len(means) == 11 and result.results["ratings"] == 21
    assert 0.5 < result.results["agreement"]["alpha"] < 1
    assert result.results["agreement"]["raters"] == 2


@pytest.mark.parametrize(
    ("value", "fault"),
    [(6, "the rating 6 is none of 1 to 5"), ("good", "answer 1: the rating 'good' is no number")],
)
def test_a_rating_outside_the_scale_is_refused(study, tmp_path, value, fault):
    _, made = study
    path = saved(tmp_path / "ann.json", rated(made, "Ann", lambda e: value))
    flags = ["--answers", path, "--kit", made.path, "--output", tmp_path / "ratings.json"]
    with pytest.raises(UserError, match=fault):
        tiny_dataset.run(ratings, *flags)
