"""The judge: both orders of each pair, the paper's form of answer, restarts, the token nowhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import chat_server
import tiny_dataset
import tiny_pictures
from diffusion4k import manifest
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.endpoints.answers import Answer
from diffusion4k.errors import UserError
from diffusion4k.images import save_jpeg
from diffusion4k.people import judge, preference, votes

ROOT = Path(__file__).resolve().parents[2]
FORM = "<the {} image is better>. The reason is <{}>."


def said(first="first", second="first", third="second", line="{}. {}") -> str:
    verdicts = enumerate((first, second, third), start=1)
    return "\n".join(line.format(i, FORM.format(v, "it is sharper")) for i, v in verdicts)


CHOSEN = {"visual_aesthetics": "first", "prompt_adherence": "first", "fine_details": "second"}


@pytest.mark.parametrize(
    "text",
    [
        said(),
        said(line="{}) **{}**"),
        said().upper(),
        said(line="Question {}: {}"),
        said(line="{}. Visual Aesthetics: {} The second image is better lit, though."),
        said(line="- {1}").replace("<", "").replace(">", ""),
        "Here is what I see.\n\n" + said(line="### {}. {}\n"),
    ],
)
def test_an_answer_in_the_papers_form_is_three_choices(text):
    assert judge.choices(text) == CHOSEN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Both are lovely.",
        said().replace("second", "third"),
        said().partition("3.")[0],
        said(line="{1}") + said(line="{1}"),
        "1. <the first image is better> or <the second image is better>. The reason is <...>.\n"
        + said().partition("\n")[2],
    ],
)
def test_another_answer_is_refused(text):
    assert judge.choices(text) is None
    assert judge.refusal(Answer(text, "", 1, 1)) == judge.NO_FORM


def test_votes_need_both_orders_and_contradictions_are_counted():
    prompts = [CaptionedImage(f"p{i}", Path(f"p{i}.png"), "a fox") for i in range(3)]
    shown = judge.shown([("a", "b")], prompts)
    assert [(s.first, s.second) for s in shown[:2]] == [("a", "b"), ("b", "a")]
    texts = [
        *(said("first", "first", "first"), said("second", "first", "second")),  # of two minds once
        *(said(), "no"),  # one order alone
        *("cut at", "no"),
    ]
    cast = judge.votes("eyes", shown, [Answer(text, "", 1, 1) for text in texts])
    assert len(cast) == 6 and {vote.prompt_id for vote in cast} == {"p0"}
    assert judge.contradictions(cast) == {
        "visual_aesthetics": {"pairs": 1, "contradict": 0},
        "prompt_adherence": {"pairs": 1, "contradict": 1},
        "fine_details": {"pairs": 1, "contradict": 0},
    }
    rates = {
        row["question"]: row["rate"] for row in preference.win_rates(cast, [("a", "b")], seed=0)
    }
    assert rates == {"visual_aesthetics": 1, "prompt_adherence": 0.5, "fine_details": 1}


def test_the_text_of_a_pair_is_what_both_were_drawn_from():
    prompts = [CaptionedImage("p0", Path("p0.png"), "a fox")]
    own = {"c": {"p0": "a hen"}, "d": {"p0": "a hen"}}
    shown = judge.shown([("a", "b"), ("d", "c")], prompts, own)
    assert [(s.first, s.prompt.text) for s in shown] == [
        *(("a", "a fox"), ("b", "a fox"), ("d", "a hen"), ("c", "a hen"))
    ]
    with pytest.raises(UserError, match="a and c: their pictures of p0 are not of one text"):
        judge.shown([("a", "c")], prompts, own)


@pytest.fixture
def study(tmp_path):
    """Two models' pictures of a data set's prompts, and the flags that judge them."""
    dataset = tiny_dataset.write_dataset(tmp_path, 4)
    images = []
    for model, side in (("a", 32), ("b", 64)):
        path = tiny_pictures.generated(tmp_path / model, {f"p{i}": (side, side) for i in range(4)})
        for i, file in enumerate(manifest.read(path).paths()):
            save_jpeg(file, tiny_dataset.photograph(i, side, side))
        tiny_pictures.relist(path)
        images.append(f"{model}={path}")
    flags = ["--pairs", "a,b", "--images", *images, "--dataset", str(dataset), "--folder", "train"]
    flags += ["--answers", str(tmp_path / "answers"), "--price", "1", "1", "--model", "eyes"]
    return [*flags, "--output", str(tmp_path / "people" / "judge.json")]


def run(study, *flags, token=chat_server.TOKEN, log=None):
    environment = os.environ | {"OPENAI_API_KEY": token}
    command = [sys.executable, ROOT / "scripts/judge.py", *study, *flags]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if log:
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
    return done


def prefers_b(body) -> str:
    """b's pictures are the larger files; told apart in either place."""
    first, second = map(len, chat_server.pictures(body))
    return said(*(["first" if first > second else "second"] * 3))


def test_pairs_are_judged_in_both_orders_and_nothing_is_paid_twice(study, tmp_path):
    with chat_server.Chat(prefers_b) as server:
        flags = ("--base-url", server.address)
        server.faults = [chat_server.Fault(429), chat_server.Fault(500)]
        done = run(study, *flags, "--max-cost", "0.003", "--prompts", "2", log=tmp_path / "1.log")
        assert done.returncode == 1 and "max_cost" in done.stderr and "Traceback" not in done.stderr
        paid = len(server.requests)
        assert 0 < paid < 4 and not (tmp_path / "people").exists()
        done = run(study, *flags, "--max-cost", "1", "--prompts", "2", log=tmp_path / "2.log")
        assert done.returncode == 0, done.stderr
        assert len(server.requests) == 4
        orders = [chat_server.pictures(body) for body in server.requests]
        assert sorted(orders) == sorted(order[::-1] for order in orders)
        assert all("a photograph" in chat_server.text(body) for body in server.requests)
        made = manifest.read(tmp_path / "people/judge.json")
        assert made.results["asked"] == 4 - paid and made.results["answers"] == 4
        assert made.results["cost"] == pytest.approx(4 * 1040 / 1e6)
        # more prompts ask what is new
        assert run(study, *flags, "--max-cost", "1", log=tmp_path / "3.log").returncode == 0
        assert len(server.requests) == 8
    cast = votes.read(tmp_path / "people/judge.csv")
    assert {vote.chosen for vote in cast} == {"b"} and len(cast) == 4 * 2 * 3
    assert {(vote.rater, vote.kind) for vote in cast} == {("eyes", "judge")}
    lines = (tmp_path / "people/judge.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 8 and json.loads(lines[0])["input_tokens"] == 1000
    assert "made from noise" in manifest.read(tmp_path / "people/judge.json").notes
    for path in filter(Path.is_file, tmp_path.rglob("*")):
        assert chat_server.TOKEN.encode() not in path.read_bytes(), path


def test_refusals_are_counted_and_not_asked_again(study, tmp_path):
    said_of = ["I would rather not.", {"content": "", "finish_reason": "content_filter"}]
    order = iter([*said_of, *[said()] * 6])
    with chat_server.Chat(lambda body: next(order)) as server:
        flags = ("--base-url", server.address, "--max-cost", "1", "--workers", "1")
        for _ in range(2):
            assert run(study, *flags).returncode == 0
            results = manifest.read(tmp_path / "people/judge.json").results
            assert results["refused"] == {judge.NO_FORM: 1, "content filter": 1}
            assert (results["refusals"], results["votes"], server.count) == (2, 18, 8)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--pairs", "a,a"], "--pairs a,a: write MODEL,MODEL, two of --images' a, b"),
        (["--model", ""], "--base-url and --model are missing"),
        ([], "status 401"),
    ],
)
def test_a_mistake_is_one_line(study, tmp_path, flags, words):
    with chat_server.Chat() as server:
        done = run(study, "--base-url", server.address, "--max-cost", "1", *flags, token="sk-other")
    assert done.returncode == 1 and done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert words in done.stderr and "sk-other" not in done.stderr + done.stdout
    assert not (tmp_path / "people").exists()
