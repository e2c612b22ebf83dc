"""Data by `path:` that its owner edits is listed anew, and what was made from it is made again."""

import json
import os

import pytest
import yaml

import simulated
from conftest import Workflow, copy_workflow

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
