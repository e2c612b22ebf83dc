"""Prompt sets: ids that stay, and faults that are said before work."""

import json

import pytest

import prompts as script
from diffusion4k import manifest
from diffusion4k.data import captions, prompts
from diffusion4k.errors import UserError

NASTY = "Füchse & <b>$5</b>: \"a\\b\" 山\u2028second half, 🦊 'end'"


def write(tmp_path, text, name="mine.txt"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_an_id_follows_from_the_text_alone(tmp_path):
    first = prompts.read(write(tmp_path, "A red fox\n\n  a heron  \n"))
    second = prompts.read(write(tmp_path, "\ufeffa new one\na heron\nA red fox\n"))
    assert [one.text for one in first] == ["A red fox", "a heron"]
    assert {one.id for one in first} < {one.id for one in second}
    assert first[0].id == "a-red-fox-" + first[0].id[-8:]
    ids = [one.id for one in prompts.of_texts([NASTY, "山", "a/../b", "..", "x" * 900], "texts")]
    assert len(set(ids)) == 5 and all(prompts.ID.fullmatch(one) for one in ids)
    # two texts with the same words are two prompts
    assert prompts.derived_id("a fox!") != prompts.derived_id("a fox?")


def test_jsonl_may_name_ids(tmp_path):
    lines = [{"id": "fox_1", "text": "a fox"}, {"text": NASTY}]
    path = write(tmp_path, "\n".join(map(json.dumps, lines)), "mine.jsonl")
    listed = prompts.read(path)
    assert listed[0] == prompts.Prompt("fox_1", "a fox")
    assert listed[1] == prompts.Prompt(prompts.derived_id(NASTY), NASTY)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.txt", " \n\n", "no prompt in it"),
        ("a.txt", "a fox\nb\na fox \n", "line 3: the same text as line 1"),
        ("a.jsonl", '{"text": " "}', "line 1: an empty text"),
        ("a.jsonl", '{"text": "half \\ud83e"}', r"half a character \(\\ud83e, at 5"),
        ("a.jsonl", '{"text": "a", "id": "../up"}', "line 1: the id '../up': letters, digits"),
        ("a.jsonl", '{"text": "a", "id": "x"}\n{"text": "b", "id": "x"}', "line 2: the id 'x'"),
        ("a.jsonl", 'no\n{"text": 3}\n{"texts": "a"}\n[]', "line 1: .*line 2: .*line 3: .*line 4"),
        ("a.jsonl", '{"text": "a", "seed": 3}', "line 1: not a JSON object of texts"),
    ],
)  # fmt: skip
def test_a_fault_names_its_line(tmp_path, name, text, fault):
    with pytest.raises(UserError, match=fault):
        prompts.read(write(tmp_path, text, name))


def test_files_that_are_no_text(tmp_path):
    (tmp_path / "latin.txt").write_bytes("Füchse".encode("latin-1"))
    with pytest.raises(UserError, match="latin.txt: not UTF-8"):
        prompts.read(tmp_path / "latin.txt")
    for name in ("none.txt", "."):
        with pytest.raises(UserError, match="no such file of prompts"):
            prompts.read(tmp_path / name)


def test_a_set_reads_as_a_data_set_without_photographs(tmp_path):
    def run(*words):
        output = tmp_path / "set.json"
        script.run(script.parser().parse_args([*words, "--output", str(output)]))
        return manifest.read(output)

    made = run("--texts", NASTY, "a fox")
    assert [(one.id, one.text) for one in captions.of(made, ".")] == [
        (one.id, one.text) for one in prompts.of_texts([NASTY, "a fox"], "texts")
    ]
    assert made.results == {"prompts": 2} and len(made.files) == 1
    with pytest.raises(UserError, match="not among the files"):
        captions.of(made, ".")[0].sound()
    with pytest.raises(UserError, match="--texts, text 2: the same text as text 1"):
        run("--texts", "a", "a")
    with pytest.raises(UserError, match="either --file FILE or --texts"):
        run()
