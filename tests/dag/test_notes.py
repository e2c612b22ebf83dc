"""What is told before the first job: what is gone behind a file that is asked for."""

import pytest

import simulated
from conftest import Workflow, copy_workflow
from diffusion4k import manifest

MINIATURE = ("--configfile", "config/miniature.yaml")
RUN = "results/miniature"
TABLE = f"{RUN}/tables/table_8.json"
SCORES = f"{RUN}/metrics/sd3_f16_wlf/eval_4096/texture.json"
IMAGES = f"{RUN}/generate/sd3_f16_wlf/eval_4096/shard-0-of-1.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Workflow:
    """Table 8 as if it had been made, its manifests naming what they were made from."""
    workflow = copy_workflow(tmp_path_factory.mktemp("made"))
    simulated.finish(workflow, *MINIATURE, target="table_8")
    for name, source in ((TABLE, SCORES), (SCORES, IMAGES)):
        path = workflow.folder / name
        manifest.write(
            path, root=path.parent, files=[], inputs={"x": source}, settings={}, started=0
        )
    (workflow.folder / RUN / "report.html").write_text("", encoding="utf-8")
    return workflow


@pytest.mark.parametrize("name", ["tables/table_8.json", "tables/table_8.md", "report.html"])
def test_what_lies_behind_a_file_that_is_asked_for_is_told_when_it_is_gone(made, name):
    """Snakemake does not miss it, and an old table would stand without a word."""
    path = made.folder / IMAGES
    path.rename(made.folder / "away")
    text = made.run("-n", f"{RUN}/{name}", *MINIATURE).stderr
    (made.folder / "away").rename(path)
    assert f"note: {IMAGES}, which {SCORES} was made from, is missing" in text
    assert "ask for a target of a name" in text


def test_of_what_is_there_nothing_is_told(made):
    assert "is missing" not in made.run("-n", TABLE, *MINIATURE).stderr
    assert "is missing" not in made.run("-n", "table_8", *MINIATURE).stderr
