"""Other systems' published numbers: every one is in a table of the paper's configuration."""

import json
from pathlib import Path

from configs import ROOT, fault, load, resolve
from diffusion4k.config import resolve as configuration
from diffusion4k.dag import paper
from diffusion4k.paper import latex, published, render, tables

PUBLISHED = Path(ROOT, "config", "published")


def shown(config):
    """{(source, system, column, value)} of the context rows of all tables."""
    context = published.read_context(PUBLISHED / "context.csv")
    found = set()
    for name in paper.in_numbers(config):
        spec = json.loads(paper.spec(config, name, []))
        for row in tables.assemble(spec, {}, {}, context)["rows"]:
            for column, cell in row["cells"].items():
                if row.get("context") and cell["published"] is not None:
                    system = row["label"].rsplit(" [", 1)[0]
                    found.add((row["source"], system, column, cell["published"]))
    return found


def test_every_number_of_others_is_in_a_table():
    every = {
        (row.source, row.system, row.metric, row.value)
        for row in published.read_context(PUBLISHED / "context.csv")
    }
    assert len(every) > 125
    journal = configuration.resolve(load("config.yaml", "v2.yaml"))
    assert shown(resolve()) | shown(journal) >= every


def test_a_table_of_others_alone_takes_no_job_and_has_every_form():
    config = resolve()
    assert paper.read_by(config, "table_context4096") == []
    spec = json.loads(paper.spec(config, "table_context4096", []))
    context = published.read_context(PUBLISHED / "context.csv")
    table = tables.assemble(spec, {}, {}, context)
    assert {render.headings(table, column) for column in table["columns"]} == {("published",)}
    assert "| UltraFlux [1] " in render.markdown(table)
    assert "143.11" in latex.latex(table)
    assert latex.latex(table, ours_only=True).startswith("% Other systems")
    assert any(line.endswith("as published by DyPE, its own paper") for line in table["footer"])


def test_a_column_that_nothing_here_measures_says_so_beside_rows_of_ours():
    changes = {"rows": ["sd3_f16_wlf"], "columns": ["fid", "hpsv3"]}
    spec = json.loads(
        paper.spec(resolve(tables={"table_context4096": changes}), "table_context4096", [])
    )
    table = tables.assemble(spec, {}, {}, published.read_context(PUBLISHED / "context.csv"))
    cell = table["rows"][0]["cells"]["hpsv3"]
    assert (cell["verdict"], cell["verdict_reason"]) == (
        "cannot be run",
        "nothing here measures it",
    )
    assert "HPSv3: nothing here measures it" in table["footer"]
    assert "hpsv3" not in latex.latex(table, ours_only=True)


def test_an_empty_table_is_refused():
    text = fault(tables={"table_contextvae": {"context": False}})
    assert "tables.table_contextvae: neither rows nor context" in text
