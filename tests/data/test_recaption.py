"""Images under other captions: a user's, a model's; what reads a captioned folder reads these."""

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

import caption
import chat_server
import tiny_dataset
from diffusion4k import images, manifest
from diffusion4k.data import captions, recaption
from diffusion4k.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def write(path: Path, **texts: str) -> Path:
    lines = [json.dumps({"file_name": f"{id}.png", "text": text}) for id, text in texts.items()]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def bare(tmp_path):
    """A folder of images without captions, as somebody has it, and its manifest."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for i in range(3):
        images.save_png(folder / f"m{i}.png", tiny_dataset.photograph(i))
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    return tiny_dataset.source(tmp_path, "mine", notes=["mine, from noise"])


def test_captions_of_a_file_stand_in_place_of_the_data_sets(tmp_path):
    dataset = tiny_dataset.write_dataset(tmp_path, 3)
    own = write(tmp_path / "own.jsonl", p0="a fox", p1="a “hen”", p2="a café", p9="elsewhere")
    output = tmp_path / "captions/laion/eval.json"
    flags = ("--dataset", dataset, "--folder", "train", "--captions", own, "--output", output)
    made = tiny_dataset.run(caption, *flags)
    samples = captions.of(made, "train")
    assert {s.id: s.text for s in samples} == {"p0": "a fox", "p1": "a “hen”", "p2": "a café"}
    before = captions.of(manifest.read(dataset), "train")
    assert [s.id for s in samples] == [s.id for s in before]
    for sample, old in zip(samples, before, strict=True):
        assert sample.path.is_symlink() and sample.sound().read_bytes() == old.path.read_bytes()
    assert made.notes == ["made from noise", "laion captions of eval: own.jsonl"]
    assert made.results == {"images": 3, "given": 3} and manifest.verify(made) == []
    # what is no longer a member is no longer there, and an edited image is refused
    lines = (dataset.parent / "data/train/metadata.jsonl").read_text().splitlines()
    (dataset.parent / "data/train/metadata.jsonl").write_text("\n".join(lines[:2]))
    tiny_dataset.source(tmp_path, "data")
    again = tiny_dataset.run(caption, *flags)
    assert sorted(p.name for p in again.paths()) == ["metadata.jsonl", "p0.png", "p1.png"]
    assert not (output.with_suffix("") / "train/p2.png").is_symlink()
    images.save_png(tmp_path / "data/train/p0.png", tiny_dataset.photograph(9))
    with pytest.raises(UserError, match=r"p0\.png: .*the manifest says"):
        tiny_dataset.run(caption, *flags)


def test_images_without_a_caption_are_all_named(tmp_path, bare):
    own = write(tmp_path / "own.jsonl", m1="a fox", m2=" ")
    output = tmp_path / "captions/own/mine.json"
    flags = ("--dataset", bare, "--folder", ".", "--captions", own, "--output", output)
    with pytest.raises(
        UserError, match=r"2 of 3 images have no caption \(m0.png: not in .*own"
    ) as e:
        tiny_dataset.run(caption, *flags)
    assert "\n" not in str(e.value)
    listing = output.with_suffix(".missing.txt")
    assert len(listing.read_text(encoding="utf-8").splitlines()) == 2 and not output.exists()
    write(own, m0="a", m1="b", m2="c")
    tiny_dataset.run(caption, *flags)
    assert output.exists() and not listing.exists()


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("{", "line 2: not a JSON object"),
        ('{"text": "t"}', "line 2: not a JSON object"),
        ('{"id": "b", "text": 5}', "line 2: not a JSON object"),
        ('{"id": "a", "text": "t"}', "line 2: the id 'a' comes twice"),
    ],
)
def test_a_faulty_line_is_named(tmp_path, line, word):
    path = tmp_path / "own.jsonl"
    path.write_text('{"file_name": "a.jpg", "text": "t"}\n' + line, encoding="utf-8")
    with pytest.raises(UserError, match=word):
        recaption.read(path)


def test_a_folder_without_images_is_refused(tmp_path, bare):
    with pytest.raises(UserError, match="lists no images there"):
        recaption.members(manifest.read(bare), "other")


FORMS = [("NFC", "NFD"), ("NFD", "NFC")]


@pytest.mark.parametrize(("ours", "theirs"), FORMS)
def test_accents_may_be_composed_otherwise_in_the_captions(tmp_path, ours, theirs):
    folder = tmp_path / "mine"
    folder.mkdir()
    names = [unicodedata.normalize(ours, name) for name in ("café", "naïve")]
    for i, name in enumerate(names):
        images.save_png(folder / f"{name}.png", tiny_dataset.photograph(i))
    source = tiny_dataset.source(tmp_path, "mine")
    texts = {unicodedata.normalize(theirs, name): f"my {i}" for i, name in enumerate(names)}
    own, output = write(tmp_path / "own.jsonl", **texts), tmp_path / "captions/own/mine.json"
    flags = ("--dataset", source, "--folder", ".", "--captions", own, "--output", output)
    made = tiny_dataset.run(caption, *flags)
    assert {s.id: s.text for s in captions.of(made, ".")} == {names[0]: "my 0", names[1]: "my 1"}
    assert made.results == {"images": 2, "given": 2}


def test_names_in_another_case_are_refused_before_a_model_is_asked(tmp_path, bare):
    own, output = write(tmp_path / "own.jsonl", M0="a", m1="b"), tmp_path / "captions/own/mine.json"
    flags = ("--dataset", bare, "--folder", ".", "--captions", own, "--output", output)
    with pytest.raises(UserError, match=r"own\.jsonl: names differ .* in case \(M0 for m0\)"):
        tiny_dataset.run(caption, *flags, "--model", "m", "--base-url", "http://127.0.0.1:1")


def test_images_in_folders_below_have_captions_and_names_of_their_own(tmp_path, bare, capsys):
    deep = tmp_path / "mine" / "a" / "b"
    deep.mkdir(parents=True)
    images.save_png(deep / "d.png", tiny_dataset.photograph(4))
    tiny_dataset.source(tmp_path, "mine")
    own = write(tmp_path / "own.jsonl", m0="a", m1="b", m2="c", d="deep", x="of another set")
    output = tmp_path / "captions/own/mine.json"
    flags = ("--dataset", bare, "--folder", ".", "--captions", own, "--output", output)
    made = tiny_dataset.run(caption, *flags)
    assert {s.id: s.text for s in captions.of(made, ".")}["d"] == "deep"
    assert "4 captions, 4 given" in (said := capsys.readouterr().out)
    assert "1 captions are of no image" in said
    images.save_png(deep / "m0.png", tiny_dataset.photograph(5))
    tiny_dataset.source(tmp_path, "mine")
    with pytest.raises(
        UserError, match=r"m0\.png: its name is .*a/b/m0\.png's too|a/b/m0\.png: its"
    ):
        tiny_dataset.run(caption, *flags)


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        (" A fox\n in snow. ", "A fox in snow."),
        ('"A fox."', "A fox."),
        ('"A fox" by "Ann"', '"A fox" by "Ann"'),
    ],
)
def test_a_models_caption_is_one_line(said, plain):
    assert recaption.plain(said) == plain


def run(dataset, output, server, *flags):
    command = [sys.executable, ROOT / "scripts/caption.py", "--dataset", dataset, "--folder", "."]
    command += ["--model", "eyes", "--base-url", server.address, "--max-cost", "1", *flags]
    command += ["--answers", output.parent / "answers", "--output", output]
    environment = os.environ | {"OPENAI_API_KEY": chat_server.TOKEN}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_a_model_writes_what_the_file_lacks_and_goes_on_where_it_stopped(tmp_path, bare):
    output = tmp_path / "captions" / "mine.json"
    with chat_server.Chat(lambda body: f"Picture  {len(chat_server.pictures(body)[0])}") as server:
        server.faults = [chat_server.Fault(429)]
        done = run(bare, output, server, "--price", "1", "1", "--max-cost", "0.0025")
        assert done.returncode == 1 and "raise max_cost" in done.stderr and server.count == 1 + 1
        refuses = chat_server.Fault(400, {"message": "no", "code": "content_filter"})
        server.faults = [refuses]
        done = run(bare, output, server, "--workers", "1")
        assert "1 of 3 images have no caption" in done.stderr and not output.exists()
        assert "m1.png: refused, content filter" in done.stderr and server.count == 4
        # the third by hand
        own = write(tmp_path / "own.jsonl", m1="a fox")
        done = run(bare, output, server, "--captions", own)
        assert done.returncode == 0 and server.count == 4, done.stderr
        body = server.requests[0]
        assert "Just start describing the scene" in chat_server.text(body)
    made = manifest.read(output)
    texts = {sample.id: sample.text for sample in captions.of(made, ".")}
    assert texts["m1"] == "a fox" and texts["m0"].startswith("Picture ")
    who = "captions captions of mine: "  # by hand the folder may be called anything
    assert made.notes[1:] == [f"{who}own.jsonl", f"{who}by eyes"]
    assert made.results["given"] == 1 and made.results["input_tokens"] == 2000
    for path in filter(Path.is_file, tmp_path.rglob("*")):
        assert chat_server.TOKEN.encode() not in path.read_bytes(), path


def test_the_users_images_are_not_where_captions_are_made(tmp_path, bare):
    own = write(tmp_path / "own.jsonl", m0="a", m1="b", m2="c")
    before = {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
    made = bare.rename(tmp_path / "source.json")
    flags = ("--dataset", made, "--folder", ".", "--captions", own)
    with pytest.raises(UserError, match=r"mine: is made anew, and m0\.png and 3 more .* deleted"):
        tiny_dataset.run(caption, *flags, "--output", tmp_path / "mine.json")
    assert {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()} == before
