"""The CSV of votes: what is read, what is refused by one line."""

import pytest

from diffusion4k.errors import UserError
from diffusion4k.people import votes
from diffusion4k.people.votes import Vote

HEAD = "rater,kind,prompt_id,first,second,question,choice\n"
LINE = "Ann,people,p1,wlf,base,fine_details,first\n"


def test_what_is_written_is_read(tmp_path):
    given = [
        Vote('Ann, "the first"', "people", "p1", "wlf", "base", "fine_details", "second"),
        Vote("gpt", "judge", "p1", "wlf", "base", "fine_details", "tie"),
        Vote("gpt", "judge", "p1", "base", "wlf", "fine_details", "first"),  # in the other order
    ]
    votes.write(tmp_path / "votes.csv", given)
    assert votes.read(tmp_path / "votes.csv") == given
    assert [vote.chosen for vote in given] == ["base", None, "base"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("rater,choice\n", "the header must be rater,kind"),
        (HEAD + LINE + "Ann,people\n", "line 3: not 7 cells"),
        (HEAD + LINE.replace("Ann", '"' + "A" * 140_000), "line .*: no CSV .*quotation mark"),
        ("A" * 140_000, "line .*: no CSV"),
        (HEAD + LINE.replace("first", "left"), "line 2: choice 'left' is none of first, second"),
        (HEAD + LINE.replace("people", "dog"), "line 2: kind 'dog' is none of people, judge"),
        (HEAD + LINE.replace("fine_details", "colour"), "line 2: question 'colour' is none of"),
        (HEAD + LINE.replace("base", "wlf"), "line 2: both pictures are of wlf"),
        (HEAD + LINE.replace("Ann", " "), "line 2: rater is empty"),
        (HEAD + LINE + LINE.replace("wlf,base", "base,wlf"), "line 3: Ann answered .*line 2"),
    ],
)
def test_what_is_no_vote_is_refused_by_file_and_line(tmp_path, text, fault):
    path = tmp_path / "v.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=fault) as refused:
        votes.read(path)
    assert str(refused.value).startswith(str(path)) and "\n" not in str(refused.value)


def test_a_vote_outside_the_study_is_refused():
    vote = Vote("Ann", "people", "p1", "wlf", "base", "fine_details", "first")
    votes.known("v.csv", vote, [["base", "wlf"]], ["p1"])
    with pytest.raises(UserError, match="wlf against base is no pair"):
        votes.known("v.csv", vote, [["base", "finetune"]], ["p1"])
    with pytest.raises(UserError, match="no prompt 'p1'"):
        votes.known("v.csv", vote, [["base", "wlf"]], ["p2"])
