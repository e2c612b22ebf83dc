"""Agreement, win rates and strengths, against values that were worked out by hand."""

import math

import pytest

from diffusion4k.people import agreement, preference
from diffusion4k.people.votes import Vote


def vote(rater, prompt, choice, pair=("a", "b"), kind="people", question="fine_details"):
    return Vote(rater, kind, prompt, *pair, question, choice)


def test_alpha_of_two_raters_by_hand():
    """Of 4 units 3 agree: 8 values, 5 ones and 3 noughts; D_o = 2/8, D_e = 30/56."""
    given = {"x": "1110", "y": "1100"}
    answers = {(r, i): int(v) for r, values in given.items() for i, v in enumerate(values)}
    assert agreement.of(answers, "nominal")["alpha"] == pytest.approx(1 - (2 / 8) / (30 / 56))
    # a unit that one rater alone answered says nothing of agreement
    answers["x", 9] = 0
    assert agreement.of(answers, "nominal")["alpha"] == pytest.approx(1 - (2 / 8) / (30 / 56))


def test_ordinal_alpha_counts_a_near_miss_as_near():
    def alpha(other):
        pairs = [(1, 1), (2, 2), (3, 3), (4, 4), (5, other)]
        answers = {(r, i): pair[k] for i, pair in enumerate(pairs) for k, r in enumerate("xy")}
        return agreement.of(answers, "ordinal")["alpha"]

    assert alpha(5) == 1 > alpha(4) > alpha(1)


def test_kappa_of_three_raters_by_hand():
    """Units 3:0, 2:1, 1:2, 0:3; P = (1 + 1/3 + 1/3 + 1) / 4 = 2/3, P_e = 1/2."""
    choices = {"x": "fffs", "y": "ffss", "z": "fsss"}
    of = {"f": "first", "s": "second"}
    votes = [vote(r, f"p{i}", of[c]) for r, text in choices.items() for i, c in enumerate(text)]
    result = agreement.of_votes(votes)["fine_details"]
    assert result["kappa"] == pytest.approx((2 / 3 - 1 / 2) / (1 - 1 / 2))
    assert (result["raters"], result["units"]) == (3, 4)


def test_the_side_that_a_picture_stood_on_is_no_disagreement():
    votes = [
        vote("x", "p1", "first"), vote("y", "p1", "second", ("b", "a")),
        vote("x", "p2", "second"), vote("y", "p2", "first", ("b", "a")),
        vote("judge", "p1", "second", kind="judge"),
    ]  # fmt: skip
    result = agreement.of_votes(votes)["fine_details"]
    assert result == {"alpha": 1.0, "kappa": 1.0, "raters": 2, "units": 2}


def test_one_rater_or_equal_answers_have_no_agreement():
    alone = agreement.of_votes([vote("x", "p1", "first"), vote("x", "p2", "second")])
    assert alone["fine_details"] == {"alpha": None, "kappa": None, "raters": 1, "units": 2}
    equal = agreement.of_votes([vote(r, p, "first") for r in "xy" for p in ("p1", "p2")])
    assert equal["fine_details"]["alpha"] is None and equal["fine_details"]["kappa"] is None


def test_one_vote_a_prompt_has_wilsons_interval():
    """8 of 10, z = 1.96: (8 + z^2 / 2 ± z sqrt(8 * 2 / 10 + z^2 / 4)) / (10 + z^2)."""
    votes = [vote("x", f"p{i}", "first" if i < 8 else "second") for i in range(10)]
    (row,) = preference.win_rates(votes, [("a", "b")], seed=0)
    z = 1.959964
    half = z * math.sqrt(8 * 2 / 10 + z**2 / 4)
    expected = [(8 + z**2 / 2 + sign * half) / (10 + z**2) for sign in (-1, 1)]
    assert row["interval"] == pytest.approx(expected, abs=1e-5)
    assert (row["rate"], row["n"], row["by"]) == (0.8, 10, "people")


def test_raters_who_vote_alike_do_not_narrow_the_interval():
    """Ten raters of the same mind are one opinion on each prompt: prompts are what counts."""
    prompts = {f"p{i}": "first" if i % 2 else "second" for i in range(40)}
    copies = [vote(f"r{r}", p, c) for r in range(10) for p, c in prompts.items()]
    (row,) = preference.win_rates(copies, [("a", "b")], seed=0)
    low, high = row["interval"]
    # the standard error of 40 prompts is 0.079: 0.345 to 0.655; of 400 votes 0.025
    assert row["rate"] == 0.5 and low == pytest.approx(0.345, abs=0.02)
    assert high == pytest.approx(0.655, abs=0.02)
    assert preference.win_rates(copies, [("a", "b")], seed=0) == [row]


def test_all_of_one_mind_still_have_an_interval():
    votes = [vote(r, f"p{i}", "first") for r in "xy" for i in range(5)]
    (row,) = preference.win_rates(votes, [("a", "b")], seed=0)
    # Wilson of 5 in 5: n / (n + z^2)
    assert row["rate"] == 1 and row["interval"] == pytest.approx([5 / (5 + 3.8415), 1], abs=1e-4)


def test_a_tie_is_half_and_judges_stand_apart():
    votes = [
        vote("x", "p1", "first"), vote("x", "p2", "tie"),
        vote("m", "p1", "second", kind="judge"), vote("m", "p1", "second", ("b", "a"), "judge"),
    ]  # fmt: skip
    people, judge = preference.win_rates(votes, [("a", "b")], seed=0)
    assert (people["by"], people["rate"], people["n"]) == ("people", 0.75, 2)
    assert (judge["by"], judge["rate"], judge["n"]) == ("judge:m", 0.5, 2)


def test_strengths_of_three_models():
    """Wins 4:2, 4:1 and 2:1 are what strengths 4, 2 and 1 give exactly."""
    wins = {("a", "b"): (4, 2), ("a", "c"): (4, 1), ("b", "c"): (2, 1)}
    votes = [
        vote(f"r{i}", "p1", "first" if i < won else "second", pair)
        for pair, (won, lost) in wins.items()
        for i in range(won + lost)
    ]
    (row,) = preference.strengths(votes)
    expected = {"a": math.log(2), "b": 0.0, "c": -math.log(2)}
    assert row["strengths"] == pytest.approx(expected, abs=1e-6) and row["n"] == 14
    # two models have a rate; a model that never won has no finite strength
    assert preference.strengths([v for v in votes if "c" not in (v.first, v.second)]) == []
    (row,) = preference.strengths([v for v in votes if v.chosen != "c"])
    assert "strengths" not in row and "won or lost every vote" in row["reason"]
