"""Data by `path:` that its owner edits is listed anew, and what was made from it is made again."""

import json
import os

import pytest
import yaml

import simulated
from conftest import Workflow, copy_workflow
from diffusion4k import files
from diffusion4k.dag import generate, sources

FLAGS = ("--configfile", "config/miniature.yaml", "mine.yaml")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Workflow:
    """Table 9 of a data set of one's own as if it had been made."""
    workflow = copy_workflow(tmp_path_factory.mktemp("made"))
    for folder in ("train", "eval/size_2048", "eval/size_4096"):
        where = workflow.folder / "data" / folder
        where.mkdir(parents=True)
        (where / "a.jpg").write_bytes(b"an image")
        line = json.dumps({"file_name": "a.jpg", "text": "a cat"})
        (where / "metadata.jsonl").write_text(line + "\n", encoding="utf-8")
    mine = {"sources": {"aesthetic_4k": {"path": "data"}}}
    (workflow.folder / "mine.yaml").write_text(yaml.safe_dump(mine), encoding="utf-8")
    simulated.finish(workflow, *FLAGS, target="table_9")
    return workflow


@pytest.mark.parametrize("listed", [False, True])
def test_of_a_split_without_captions_all_images_below_it_are_seen(tmp_path, listed):
    """Also beside a metadata.jsonl, which nothing reads there."""
    deep = tmp_path / "photos" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "one.jpg").write_bytes(b"an image")
    if listed:
        (tmp_path / "photos" / "metadata.jsonl").write_text("", encoding="utf-8")
    config = {
        "sources": {"mine": {"path": str(tmp_path)}},
        "splits": {"mine": {"source": "mine", "folder": "photos", "captioned": False}},
    }
    seen = [sources.own_files(config, "mine")]
    os.utime(deep / "one.jpg", (1, 1))
    for name in ("notes.txt", ".DS_Store", "._one.jpg"):
        (deep / name).write_bytes(b"no image")
    assert sources.own_files(config, "mine") == seen[0]
    (deep / "two.PNG").write_bytes(b"another")
    seen.append(sources.own_files(config, "mine"))
    (deep / "one.jpg").write_bytes(b"another of another size")
    seen.append(sources.own_files(config, "mine"))
    assert len(set(seen)) == 3


def test_a_folder_of_too_many_files_is_not_looked_through(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "WATCHED", 3)
    for name in "abcd":
        (tmp_path / f"{name}.jpg").write_bytes(b"an image")
    many = sources.content(tmp_path, [(".", False)])
    (tmp_path / "e.jpg").write_bytes(b"an image")
    assert sources.content(tmp_path, [(".", False)]) == many
    assert len(files.walk(tmp_path, most=3)) == 4 and len(files.walk(tmp_path)) == 5


def test_what_a_file_manager_leaves_beside_finished_pictures_imports_none_anew(tmp_path):
    config = {"models": {"mine": {"images": str(tmp_path)}}}
    (tmp_path / "a.jpg").write_bytes(b"an image")
    before = generate.own_files(config, "mine", "eval_2048")
    for name in (".DS_Store", "Thumbs.db", "._a.jpg"):
        (tmp_path / name).write_bytes(b"no image")
    assert generate.own_files(config, "mine", "eval_2048") == before
    os.utime(tmp_path / "a.jpg", (1, 1))
    assert generate.own_files(config, "mine", "eval_2048") != before


def test_an_edit_is_seen_and_a_touch_is_not(made):
    listing = made.folder / "data/eval/size_4096/metadata.jsonl"
    os.utime(listing, (1, 1))
    (made.folder / "data" / "README.md").write_text("a card", encoding="utf-8")
    assert made.plan("table_9", *FLAGS) == {}
    before = listing.read_text(encoding="utf-8")
    listing.write_text(before.replace("cat", "dog"), encoding="utf-8")
    plan = made.plan("table_9", *FLAGS)
    assert (plan["fetch_source"], plan["check_data"]) == (1, 3)
    listing.write_text(before, encoding="utf-8")
    assert made.plan("table_9", *FLAGS) == {}
