"""Snakemake's own --report: the paper's structure as categories, with captions."""

import json
import re
import zipfile

FLAGS = ("--configfile", "config/miniature.yaml", "--config", "run=words")


def test_it_has_captions_and_categories(workflow):
    workflow.run("table_11", *FLAGS)
    workflow.run("--report", "report.zip", *FLAGS, "--", "table_11")
    with zipfile.ZipFile(workflow.folder / "report.zip") as packed:
        (name,) = (name for name in packed.namelist() if name.endswith("/report.html"))
        page = packed.read(name).decode("utf-8")
    categories = json.loads(re.search(r"var categories = (\{.*\});", page)[1])
    assert list(categories) == ["Tables"]
    assert "Table 11 of the paper" in page
