"""What lies where an output goes: a folder is made anew of one's own files alone."""

import ast
import importlib
import json
from pathlib import Path

import pytest

import tiny_tables
from diffusion4k import cli, files
from diffusion4k.errors import UserError
from diffusion4k.paper import forms

SCRIPTS = Path(files.__file__).resolve().parents[1]
# they delete what is theirs by its name: unfinished work, and checkpoints
OWN = {"diffusion4k/files.py", "diffusion4k/train/state.py", "diffusion4k/metrics/scores.py"}


def fill(folder: Path, *names: str) -> None:
    with files.anew(folder) as part:
        for name in names:
            files.write_text(part / name, f"made: {name}")


def below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in files.walk(folder)}


def test_a_folder_is_made_anew_in_one_step(tmp_path):
    folder = tmp_path / "out"
    fill(folder, "a.txt", "deep/b.txt")
    (folder / "empty").mkdir()
    (folder / ".DS_Store").write_text("", encoding="utf-8")
    with pytest.raises(ZeroDivisionError), files.anew(folder) as part:
        files.write_text(part / "c.txt", "half")
        raise ZeroDivisionError
    assert below(folder) == {"a.txt", "deep/b.txt", ".DS_Store"}
    fill(folder, "c.txt")
    assert below(folder) == {"c.txt"} and not (folder / "empty").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".out.made"}


@pytest.mark.parametrize("name", ["thesis.tex", "deep/b.jpg", ".hidden"])
@pytest.mark.parametrize("before", [(), ("a.txt",)])
def test_a_folder_with_files_of_somebody_elses_is_left_alone(tmp_path, name, before):
    folder = tmp_path / "out"
    if before:
        fill(folder, *before)
    files.write_text(folder / name, "mine")
    work = []
    wrong = pytest.raises(UserError, match=rf"out: .* {name} in it .* move")
    with wrong as error, files.anew(folder) as part:
        work.append(part)
    assert "\n" not in str(error.value) and not work
    assert below(folder) == {name, *before} and (folder / name).read_text("utf-8") == "mine"
    (folder / name).unlink()
    fill(folder, "b.txt")
    assert below(folder) == {"b.txt"}


def test_what_comes_while_it_works_is_not_lost(tmp_path):
    folder = tmp_path / "out"
    fill(folder, "a.txt")
    with pytest.raises(UserError, match=r"answers\.json and 1 more"), files.anew(folder) as part:
        files.write_text(part / "a.txt", "new")
        for name in ("answers.json", "more.json"):
            files.write_text(folder / name, "mine")
    assert below(folder) == {"a.txt", "answers.json", "more.json"}


def test_a_picture_in_place_of_a_link_is_somebodys(tmp_path):
    folder, picture = tmp_path / "out", tmp_path / "p.jpg"
    picture.write_text("p", encoding="utf-8")
    for _ in range(2):
        with files.anew(folder) as part:
            (part / "p.jpg").symlink_to(picture)
            (part / "of").symlink_to(tmp_path)  # a folder: never entered
    assert (folder / "p.jpg").is_symlink()
    (folder / "p.jpg").unlink()
    (folder / "p.jpg").write_text("edited", encoding="utf-8")
    with pytest.raises(UserError, match=r"p\.jpg in it"):
        fill(folder, "p.jpg")
    assert (folder / "p.jpg").read_text("utf-8") == "edited"


def test_a_kill_before_the_new_takes_the_olds_place_hinders_nobody(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    fill(folder, "a.txt", "b.txt")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):

        def kill(*_):
            raise KeyboardInterrupt

        patch.setattr(Path, "rename", kill)
        patch.setattr(files.shutil, "rmtree", lambda path, **_: None)
        fill(folder, "b.txt", "c.txt")
    assert below(folder) == {"a.txt", "b.txt"}
    fill(folder, "c.txt")
    assert below(folder) == {"c.txt"}


def test_through_a_link_the_folder_itself_is_made_anew(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to("disk")
    for name in ("a.txt", "b.txt"):
        fill(tmp_path / "out", name)
    assert (tmp_path / "out").is_symlink() and below(tmp_path / "disk") == {"b.txt"}


def test_a_file_where_a_folder_goes_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="out: a file"):
        fill(tmp_path / "out", "a.txt")


def test_where_nobody_knows_what_was_made_nothing_is_deleted(tmp_path):
    fill(tmp_path / "out", "a.txt")
    (tmp_path / ".out.made").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"\.out\.made: not JSON"):
        fill(tmp_path / "out", "b.txt")
    assert below(tmp_path / "out") == {"a.txt"}


def test_only_what_was_put_there_is_dropped(tmp_path):
    for name in ("a.jpg", "b.jpg", "mine.jpg"):
        files.write_text(tmp_path / "small" / name, name)
    files.keep_only(tmp_path / "small", [tmp_path / "small/a.jpg", tmp_path / "small/b.jpg"])
    files.keep_only(tmp_path / "small", [tmp_path / "small/b.jpg"])
    assert below(tmp_path / "small") == {"b.jpg", "mine.jpg"}
    names = json.loads((tmp_path / ".small.made").read_text("utf-8"))
    assert names == {"b.jpg": False}


@pytest.mark.parametrize(
    ("script", "words", "flag", "name"),
    [
        ("ratings", "--answers other.csv x.csv", "answers", "x.csv"),
        ("votes", "--answers x.csv --pairs a,b --dataset d.json --folder f", "answers", "x.csv"),
        ("votes", "--judges x.json --pairs a,b --dataset d.json --folder f", "judges", "x.json"),
        ("judge", "--pairs a,b --images a=b.json m=x.jsonl --dataset d.json --folder f"
         " --base-url http://127.0.0.1 --model m --max-cost 1 --price 0 0", "images", "x.jsonl"),
        ("table", "--name table_8 --spec {} --published x.csv", "published", "x.csv"),
        ("table", "--name table_8 --spec x.json --published y.csv", "spec", "x.json"),
        ("caption", "--dataset d.json --folder . --captions x.jsonl", "captions", "x.jsonl"),
        ("prompts", "--file x.txt", "file", "x.txt"),
        ("check_data", "--dataset x.parquet --folder f --split s", "dataset", "x.parquet"),
    ],
)  # fmt: skip
def test_no_output_takes_an_inputs_place(tmp_path, monkeypatch, script, words, flag, name):
    """Nor what is written beside it by its name: found before the work, in one line."""
    module = importlib.import_module(script)
    monkeypatch.chdir(tmp_path)
    Path(name).write_text("mine", encoding="utf-8")
    words = [f"{script}.py", *words.split(), "--output", str(tmp_path / "x.json")]
    work = []
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match=rf"^error: --output .*/x\.json: --{flag} {name} ") as said:
        cli.main(work.append, module.parser())
    assert "\n" not in str(said.value) and not work
    # of that name elsewhere it takes nobody's
    words[-1] = str(tmp_path / "out/x.json")
    cli.main(work.append, module.parser())
    assert len(work) == 1 and Path(name).read_text("utf-8") == "mine"


def test_a_table_is_called_as_its_manifest(tmp_path):
    """So that its name is no other file's, whatever the table is called."""
    written = forms.write(tiny_tables.assemble({}), tmp_path / "x.json", "table_8")
    assert {path.name.partition(".")[0] for path in written} == {"x"}


def removals(source: str) -> list[int]:
    """The lines that delete a whole folder, or whatever a pattern matches."""
    tree, lines = ast.parse(source), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name | ast.alias):
            name = getattr(node, "attr", getattr(node, "id", getattr(node, "name", "")))
            lines += [node.lineno] if name in ("rmtree", "removedirs") else []
    return sorted(lines)


def test_no_script_deletes_a_folder_by_itself():
    assert removals("import shutil\nshutil.rmtree(a)\nfrom shutil import rmtree\n") == [2, 3]
    for path in SCRIPTS.rglob("*.py"):
        if path.relative_to(SCRIPTS).as_posix() not in OWN:
            lines = removals(path.read_text(encoding="utf-8"))
            assert lines == [], f"{path}: lines {lines}; files.anew makes a folder anew"
