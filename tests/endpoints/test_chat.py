"""Questions to an endpoint: faults that pass, refusals, limits; nothing is paid twice."""

import base64
import io
from dataclasses import replace

import pytest
from PIL import Image

import chat_server
import tiny_pictures
from chat_server import Fault
from diffusion4k import manifest
from diffusion4k.endpoints import prompts
from diffusion4k.endpoints.budget import Price
from diffusion4k.endpoints.chat import Chat, Endpoint, Question
from diffusion4k.errors import UserError

COST = 1000 * 2 / 1e6 + 40 * 10 / 1e6  # of one answer of the server's, at 2 and 10 a million


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("JUDGE_TOKEN", chat_server.TOKEN)
    with chat_server.Chat() as server:
        yield server


@pytest.fixture
def endpoint(server):
    return Endpoint(
        base_url=server.address,
        model="eyes",
        temperature=0.0,
        max_tokens=50,
        side=64,
        token_env="JUDGE_TOKEN",
        price=Price(2, 10),
        retries=3,
        timeout=20,
    )


@pytest.fixture
def questions(tmp_path):
    sizes = {f"p{i}": (96, 128) for i in range(6)}
    made = manifest.read(tiny_pictures.generated(tmp_path / "pictures", sizes))
    return [Question(f"What is {p.stem}?", [made.listed(p)], "Be brief.") for p in made.paths()]


def ask(endpoint, folder, questions, *, max_cost=1.0, workers=2):
    chat = Chat(endpoint, folder / "answers", max_cost)
    return list(chat.answer_all(questions, workers)), chat


def error(endpoint, folder, questions, **how) -> str:
    with pytest.raises(UserError) as raised:
        ask(endpoint, folder, questions, **how)
    assert "\n" not in str(raised.value) and chat_server.TOKEN not in str(raised.value)
    return str(raised.value)


def test_a_question_is_sent_in_the_protocols_form(server, endpoint, questions, tmp_path):
    server.answer = lambda body: f"about {chat_server.text(body)}"
    answers, chat = ask(endpoint, tmp_path, questions)
    assert [a.text for a in answers] == [f"about What is p{i}?" for i in range(6)]
    body = next(b for b in server.requests if "p0" in chat_server.text(b))
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("eyes", 0.0, 50)
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    [address] = chat_server.pictures(body)
    kind, _, content = address.partition(",")
    with Image.open(io.BytesIO(base64.b64decode(content))) as sent:
        assert (kind, sent.format, sent.size) == ("data:image/jpeg;base64", "JPEG", (64, 48))
    assert chat.asked == 6
    assert chat.spent(answers)["cost"] == pytest.approx(6 * COST)
    assert chat.spent(answers)["input_tokens"] == 6000


def test_nothing_is_asked_twice_and_what_decides_an_answer_is_asked_anew(
    server, endpoint, questions, tmp_path, monkeypatch
):
    first, _ = ask(endpoint, tmp_path, [*questions, questions[0]])
    assert server.count == 6
    monkeypatch.delenv("JUDGE_TOKEN")  # nothing is asked, nobody needs it
    again, chat = ask(replace(endpoint, retries=0, timeout=1), tmp_path, questions)
    assert again == first[:6] and (server.count, chat.asked) == (6, 0)
    assert chat.budget.spent == pytest.approx(6 * COST)
    monkeypatch.setenv("JUDGE_TOKEN", chat_server.TOKEN)
    for change in ({"model": "ears"}, {"temperature": 0.5}, {"max_tokens": 51}, {"side": 32}):
        before = server.count
        ask(replace(endpoint, **change), tmp_path, questions[:1])
        assert server.count == before + 1, change
    other = replace(questions[0].pictures[0], sha256=questions[1].pictures[0].sha256[::-1])
    for question in (replace(questions[0], text="?"), replace(questions[0], system="")):
        before = server.count
        ask(endpoint, tmp_path, [question])
        assert server.count == before + 1
    with pytest.raises(UserError, match="content has changed"):  # another picture, of other bytes
        ask(endpoint, tmp_path, [replace(questions[0], pictures=[other])])


@pytest.mark.parametrize(
    "faults",
    [
        [Fault(429, {"message": "slow down"}), Fault(429, {"message": "slow down"})],
        [Fault(500), Fault(503), Fault(502)],
        [Fault(stall=2.0)],
    ],
)
def test_what_passes_is_waited_out(server, endpoint, questions, tmp_path, faults):
    server.faults = faults.copy()
    timeout = 0.5 if faults[0].stall else 20
    answers, chat = ask(replace(endpoint, timeout=timeout), tmp_path, questions[:1])
    assert answers[0].text == "a fox" and server.count == len(faults) + 1
    assert chat.spent(answers)["cost"] == pytest.approx(COST)


def test_what_does_not_pass_is_one_line_and_answers_are_kept(server, endpoint, questions, tmp_path):
    ask(endpoint, tmp_path, questions[:2])
    server.faults = [Fault(500)] * 100
    said = error(endpoint, tmp_path, questions, workers=1)
    assert "answered with status 500, 4 times in a row" in said and "run the same command" in said
    assert server.count == 2 + 4
    server.faults = [Fault(stall=1.0)] * 2
    said = error(replace(endpoint, retries=0, timeout=0.2), tmp_path, questions, workers=1)
    assert "no answer within 0.2 s, 1 times" in said
    server.faults = []
    before = server.count
    answers, chat = ask(endpoint, tmp_path, questions)
    assert len(answers) == 6 and chat.asked == server.count - before == 4


def test_a_refused_token_stops_at_once_and_is_not_quoted(
    server, endpoint, questions, tmp_path, monkeypatch
):
    monkeypatch.setenv("JUDGE_TOKEN", "sk-wrong-token")
    said = error(endpoint, tmp_path, questions, workers=1)
    assert "status 401" in said and "JUDGE_TOKEN" in said and "sk-wrong" not in said
    assert server.count == 1
    monkeypatch.setenv("JUDGE_TOKEN", " ")
    assert "set JUDGE_TOKEN to the token" in error(endpoint, tmp_path, questions)
    assert server.count == 1


def test_other_mistakes_are_said_without_the_token(server, endpoint, questions, tmp_path):
    server.faults = [Fault(404, {"message": f"no model eyes for {chat_server.TOKEN}"})]
    said = error(endpoint, tmp_path, questions, workers=1)
    assert "status 404 for eyes (" in said and "no model eyes for …" in said
    server.faults = [Fault(body=b"<html>a portal</html>")]
    assert "no chat completion" in error(endpoint, tmp_path, questions, workers=1)
    lost = replace(endpoint, base_url="http://127.0.0.1:9/v1", retries=0)
    assert "127.0.0.1:9: cannot be reached" in error(lost, tmp_path, questions, workers=1)
    assert not list((tmp_path / "answers").rglob("*.json"))


@pytest.mark.parametrize(
    ("said", "refusal"),
    [
        ({"content": None, "refusal": "I cannot help with that."}, "I cannot help with that."),
        ({"content": "", "finish_reason": "content_filter"}, "content filter"),
        ({"content": "the first im", "finish_reason": "length"}, "cut at max_tokens, 50"),
        ({"content": " "}, "an empty answer"),
        (Fault(400, {"message": "no", "code": "content_filter"}), "content filter"),
        (Fault(400, {"message": "no", "code": "content_policy_violation"}), "content filter"),
    ],
)
def test_a_refusal_is_an_answer_that_is_not_asked_again(
    server, endpoint, questions, tmp_path, said, refusal
):
    if isinstance(said, Fault):
        server.faults = [said]
    else:
        server.answer = lambda body: dict(said)
    for _ in range(2):
        [answer], _ = ask(endpoint, tmp_path, questions[:1])
        assert answer.refusal == refusal
    assert server.count == 1


def test_the_limit_stops_before_it_is_exceeded_and_a_higher_one_goes_on(
    server, endpoint, questions, tmp_path
):
    limit = 2.5 * COST
    for _ in range(2):  # the same command again asks nothing more
        said = error(endpoint, tmp_path, questions, max_cost=limit, workers=4)
        assert "max_cost" in said and "run the same command again" in said
        assert server.count == 2
    assert server.count * COST <= limit
    answers, chat = ask(endpoint, tmp_path, questions, max_cost=10 * COST)
    assert server.count == 6 and chat.asked == 4 and len(answers) == 6
    error(endpoint, tmp_path / "new", questions, max_cost=0)
    assert server.count == 6


def test_a_server_that_counts_no_tokens_is_reckoned_with_the_most(
    server, endpoint, questions, tmp_path
):
    server.usage = None
    [answer], _ = ask(endpoint, tmp_path, questions[:1])
    patches = 5 * 4  # of 64 x 48 px
    assert answer.input_tokens == len("What is p0?Be brief.") + patches
    assert answer.output_tokens == 50


def test_a_damaged_answer_is_named(server, endpoint, questions, tmp_path):
    ask(endpoint, tmp_path, questions[:1])
    [path] = (tmp_path / "answers").rglob("*.json")
    path.write_text("{}", encoding="utf-8")
    assert f"{path}: not an answer" in error(endpoint, tmp_path, questions[:1])


def test_the_papers_prompts_have_a_title_and_say_whose_words_they_are():
    for name in ("caption", "preference_system", "preference"):
        prompt = prompts.read(prompts.path(name))
        assert prompt.title and "paper's" in prompt.note and "#" not in prompt.text
    assert "Caption: a {b}" in prompts.read(prompts.path("preference")).of("a {b}")


def test_a_prompt_that_asks_nothing_is_refused(tmp_path):
    (tmp_path / "none.txt").write_text("# title\n\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"none\.txt: nothing to ask"):
        prompts.read(tmp_path / "none.txt")
    with pytest.raises(UserError, match="no such prompt"):
        prompts.read(tmp_path / "other.txt")
