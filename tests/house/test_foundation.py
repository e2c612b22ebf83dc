"""Manifests, atomic files, metadata and the digest of code."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from diffusion4k import cli, digest, files, manifest
from diffusion4k.data import captions as metadata
from diffusion4k.data import shards
from diffusion4k.errors import UserError
from diffusion4k.ledger import check


def write(tmp_path, **options):
    (tmp_path / "bulk").mkdir(parents=True, exist_ok=True)
    (tmp_path / "bulk" / "a.txt").write_text("a", encoding="utf-8")
    manifest.write(
        tmp_path / "made.json",
        root=tmp_path / "bulk",
        files=[tmp_path / "bulk" / "a.txt"],
        inputs={"source": tmp_path / "source.json"},
        settings={"size": 32},
        started=time.time(),
        **options,
    )
    return manifest.read(tmp_path / "made.json")


def test_a_manifest_says_what_was_made_and_moves_with_its_bulk(tmp_path):
    (tmp_path / "here").mkdir()
    made = write(tmp_path / "here", results={"n": 1}, notes=["miniature", "miniature"])
    assert made.files[0].name == "a.txt" and made.files[0].bytes == 1
    assert made.results == {"n": 1} and made.notes == ["miniature"]
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = manifest.read(tmp_path / "there" / "made.json")
    assert moved.paths() == [tmp_path / "there" / "bulk" / "a.txt"]
    assert manifest.verify(moved) == []


@pytest.mark.parametrize(
    ("harm", "word"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_text("ab", encoding="utf-8"), "bytes"),
        (lambda path: path.write_text("b", encoding="utf-8"), "changed"),
    ],
)
def test_verify_names_what_is_broken(tmp_path, harm, word):
    made = write(tmp_path)
    harm(made.paths()[0])
    [line] = manifest.verify(made)
    assert "a.txt" in line and word in line


def test_nan_never_reaches_a_manifest(tmp_path):
    with pytest.raises(ValueError):
        write(tmp_path, results={"fid": float("nan")})
    assert not (tmp_path / "made.json").exists()


def test_a_manifest_cannot_name_files_outside_its_root(tmp_path):
    made = write(tmp_path)
    record = json.loads(made.path.read_text(encoding="utf-8"))
    record["files"][0]["name"] = "../../secret"
    made.path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(UserError, match="leaves its folder"):
        manifest.read(made.path).paths()


def test_an_atomic_write_is_whole_or_absent(tmp_path):
    with pytest.raises(RuntimeError), files.atomic(tmp_path / "x.txt") as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/passwd", "", "a/../../b.jpg"])
def test_metadata_cannot_leave_its_folder(tmp_path, name):
    line = json.dumps({"file_name": name, "text": "t"})
    (tmp_path / "metadata.jsonl").write_text(line, encoding="utf-8")
    with pytest.raises(UserError, match="leaves its folder"):
        metadata.read(tmp_path, ".")


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        '{"file_name": "b.jpg"}',
        '{"file_name": 5, "text": "t"}',
        '{"file_name": "b.jpg", "text": ["t"]}',
    ],
)
def test_a_bad_line_of_metadata_is_named(tmp_path, bad):
    good = json.dumps({"file_name": "a.jpg", "text": "t"})
    (tmp_path / "metadata.jsonl").write_text(f"{good}\n{bad}", encoding="utf-8")
    with pytest.raises(UserError, match="line 2: not a JSON object with file_name and text"):
        metadata.read(tmp_path, ".")


def test_metadata_are_lines_of_utf_8_and_texts_may_hold_other_separators(tmp_path):
    texts = ["a cat\u2028on a mat", "caf\u00e9\u0085", ""]
    lines = [
        json.dumps({"file_name": f"{i}.jpg", "text": text}, ensure_ascii=False)
        for i, text in enumerate(texts)
    ]
    listing = tmp_path / "metadata.jsonl"
    listing.write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    assert [sample.text for sample in metadata.read(tmp_path, ".")] == texts
    listing.write_bytes(lines[1].encode("latin-1"))
    with pytest.raises(UserError, match="metadata.jsonl: not UTF-8"):
        metadata.read(tmp_path, ".")


def test_shards_are_the_whole_in_order():
    items = list(range(23))
    assert sum((shards.shard(items, index, 5) for index in range(5)), []) == items
    with pytest.raises(UserError):
        shards.shard(items, 5, 5)
    assert shards.spread(items, 3) == [0, 7, 15] and shards.spread(items, None) == items


@pytest.mark.parametrize(("asked", "granted"), [("3", 3), ("4,2", 4), ("", 0), ("0", 0), ("x", 0)])
def test_threads_are_those_that_openmp_is_told(monkeypatch, asked, granted):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert cli.threads() == (granted or os.cpu_count())


@pytest.fixture
def code(tmp_path, monkeypatch):
    monkeypatch.setattr(digest, "SCRIPTS", tmp_path)
    package = tmp_path / "diffusion4k" / "room"
    package.mkdir(parents=True)
    (tmp_path / "diffusion4k" / "__init__.py").write_text("", encoding="utf-8")
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "far.py").write_text("X = 1\n", encoding="utf-8")
    (package / "near.py").write_text("from . import far\n", encoding="utf-8")
    script = "def run():\n    from diffusion4k.room import near\n"
    (tmp_path / "step.py").write_text(script, encoding="utf-8")

    def forget():
        for cached in vars(digest).values():
            if hasattr(cached, "cache_clear"):
                cached.cache_clear()

    def of(**changes):
        for name, text in changes.items():
            path = tmp_path / "step.py" if name == "step" else package / f"{name}.py"
            path.write_text(text, encoding="utf-8")
        forget()
        return digest.digest("step.py")

    yield of
    forget()  # or the tests after these would see these files


def test_the_digest_follows_imports_and_ignores_what_does_not_run(code):
    before = code()
    assert code(far='"""A docstring."""\n# a comment\nX = (1)\n') == before
    assert code(far="X = 2\n") != before
    assert code(far="X = 1\n") == before
    assert (
        code(step='def run():\n    """Said."""\n    from diffusion4k.room import near\n') == before
    )
    assert code(step="def run():\n    pass\n") != before


@pytest.mark.parametrize(
    "call",
    [
        'raise UserError(f"{X}: WORDS", WORDS)',
        'y: int = flag("WORDS", 3)',
        'parser.add_argument("--seed", help="WORDS")',
        'print("WORDS", f"WORDS {X}", file=sys.stderr)',
    ],
)
def test_words_for_people_do_not_count_and_what_else_a_call_has_does(code, call):
    before = code(step=call.replace("WORDS", "one"))
    assert code(step=call.replace("WORDS", "two")) == before
    said = code(step='print("one", file=made)'), code(step='print("two", file=made)')
    assert said[0] != said[1]
    for one, other in (("3", "4"), ("--seed", "--seeds")):
        if one in call:
            assert code(step=call.replace(one, other).replace("WORDS", "one")) != before


def test_modules_imported_by_name_count_where_they_are_named(code, monkeypatch):
    importing = "import importlib\n\n\ndef get(name):\n    return importlib.import_module(name)\n"
    alone = code(step="from diffusion4k import room\n", __init__=importing)

    def named() -> str:
        return digest.digest("step.py", with_modules=("diffusion4k.room.near",))

    with_near = named()
    assert with_near != alone
    assert code(far="X = 3\n") == alone  # only near imports it
    assert named() != with_near
    with pytest.raises(UserError, match="diffusion4k/room/nearby.py: not there"):
        digest.digest("step.py", with_modules=("diffusion4k.room.nearby",))
    # the script that runs does not say which it will import: all count
    monkeypatch.setattr("sys.argv", [str(digest.SCRIPTS / "step.py")])
    digest.of_this_process.cache_clear()
    every = digest.of_this_process()
    assert every not in (alone, "")
    code(far="X = 4\n")
    digest.of_this_process.cache_clear()
    assert digest.of_this_process() != every
    digest.of_this_process.cache_clear()


def test_a_manifest_that_others_were_made_from_is_missed(tmp_path):
    made = write(tmp_path / "results")
    source = tmp_path / "results/source.json"
    line = f"{source}, which {made.path} was made from, is missing"
    assert check.gone(made) == {source: line}
    source.touch()
    assert check.gone(made) == {}
    assert check.gone(write(tmp_path)) == {}  # not of a run: a file of the user's


def test_the_end_of_a_segment_that_another_followed_is_kept_in_it_and_not_missed(tmp_path):
    first = write(run := tmp_path / "results", results={"step": 5})

    def after(**keep):
        manifest.write(
            run / "next.json",
            root=run,
            files=[],
            inputs={"start": first.path},
            settings={},
            started=time.time(),
            **keep,
        )
        return manifest.read(run / "next.json")

    kept, lost = after(keep=["start"]), after()
    first.path.unlink()
    assert check.gone(kept) == {} and len(check.gone(lost)) == 1
    record = manifest.of_record(first.path, kept.records["start"])
    assert record.results == {"step": 5} and record.digest == first.digest
    assert kept.digests["start"] == first.digest


def test_captions_that_a_later_stage_cannot_take_are_all_named(tmp_path):
    """Half an emoji, of a caption cut between two escapes; a name too long for latents."""
    longest = "\u57ce" * (metadata.LONGEST_ID // 3)
    rows = {"a.jpg": "a cat \ud83d", f"{longest}.jpg": "fits", f"{longest}ab.jpg": "does not"}
    lines = [json.dumps({"file_name": name, "text": text}) for name, text in rows.items()]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError) as refused:
        metadata.read(tmp_path, ".")
    said = str(refused.value)
    assert "line 1: the caption has half a character (\\ud83d, at 6)" in said
    assert "line 3: a file name of 243 bytes; shorten it to 237" in said and "line 2" not in said
    (tmp_path / "metadata.jsonl").write_text(lines[1], encoding="utf-8")
    [sample] = metadata.read(tmp_path, ".")
    for name in (f"{sample.id}-reconstructed.png", f"{sample.id}-0.safetensors"):
        files.write_text(tmp_path / name, "fits the file system, under its temporary name too")


def test_names_that_are_not_utf_8_are_shown_escaped(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    path.write_bytes(b"a picture")
    assert files.shown(path.name) == "caf\\udce9.jpg"
    files.write_text(tmp_path / "list.txt", f"{path.name}: no line in metadata.jsonl\n")
    assert (tmp_path / "list.txt").read_text(encoding="utf-8").startswith("caf\\udce9.jpg: no")
    (tmp_path / "say.py").write_text(SAY, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, tmp_path / "say.py", path],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(manifest.__file__).parents[1])},
    )
    assert done.stdout.endswith("caf\\udce9.jpg\n") and done.returncode == 1
    assert done.stderr.endswith("caf\\udce9.jpg: is bad\n") and "Traceback" not in done.stderr


SAY = """import argparse
from diffusion4k import cli
from diffusion4k.errors import UserError
def run(args):
    print(args.path)
    raise UserError(f"{args.path}: is bad")
parser = argparse.ArgumentParser()
parser.add_argument("path")
cli.main(run, parser)
"""
