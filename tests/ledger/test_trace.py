"""The chain behind a number: whole, broken, with a deleted segment, and where two runs part."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tiny_run
from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.ledger import chain, check, trace

SCRIPTS = Path(chain.__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return chain.Run(tiny_run.write(Path("results/tiny")))


def links(run, row="SD3-F16-WLF", column="FID") -> list[chain.Link]:
    return trace.trace(run, trace.cell(run, "table_3", row, column))


def test_a_cell_leads_to_its_sources_and_only_to_what_it_rests_on(run):
    names = [link.name for link in links(run)]
    assert names == [
        "tables/table_3.json",
        "metrics/sd3_f16_wlf/eval_2048/fid.json",
        "metrics/sd3_f16_wlf/eval_2048/features-0-of-1.json",
        "generate/sd3_f16_wlf/eval_2048/shard-0-of-1.json",
        "train/sd3_f16_wlf/pipeline.json",
        "train/sd3_f16_wlf/step-000600.json",
        "train/sd3_f16_wlf/step-000300.json",
        "latents/sd3/shard-0-of-1.json",
        "sources/aesthetic_4k.json",
        "sources/sd3.json",
    ]
    assert not any(link.fault for link in links(run))
    assert "train/sd3_f16_wlf/pipeline.json" not in {link.name for link in links(run, "sd3_f16")}


def test_a_deleted_segment_is_known_from_the_next_ones_record(run):
    segment = next(link for link in links(run) if "step-000300" in link.name)
    assert segment.kept and segment.manifest.settings == {"step": "step-000300"}
    assert "latents/sd3/shard-0-of-1.json" in segment.inputs
    assert not (run.folder / segment.name).exists()


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("latents/sd3/shard-0-of-1.json", "missing"),
        ("latents/sd3/shard-0-of-1/bulk.txt", "bulk.txt: missing"),
        ("generate/sd3_f16_wlf/eval_2048/shard-0-of-1.json", "missing"),
    ],
)
def test_a_missing_link_is_named(run, name, fault):
    (run.folder / name).unlink()
    broken = [link for link in links(run) if link.fault]
    assert [link.name for link in broken] == [name.replace("/bulk.txt", ".json")]
    assert broken[0].fault.endswith(fault)


def test_an_input_that_was_made_again_breaks_the_chain(run):
    tiny_run.link(run.folder / "latents/sd3/shard-0-of-1.json", {}, text="other latents")
    again = chain.Run(run.folder)
    assert {link.name: link.fault for link in links(again) if link.fault} == {
        "latents/sd3/shard-0-of-1.json": "is another than what was made from it read: it was made"
        " again since"
    }
    # the same bytes at another time are the same link
    tiny_run.link(run.folder / "latents/sd3/shard-0-of-1.json", {}, text="latents/sd3")
    assert not any(link.fault for link in links(chain.Run(run.folder)))


def test_a_run_that_was_moved_is_traced_where_it_lies(run, tmp_path):
    (tmp_path / "results").rename(tmp_path / "elsewhere")
    moved = chain.Run(tmp_path / "elsewhere/tiny")
    assert len(links(moved)) == 10 and not any(link.fault for link in links(moved))


def test_gpu_hours_count_every_gpu_and_no_cpu(run):
    made = manifest.read(run.folder / "generate/sd3_f16_wlf/eval_2048/shard-0-of-1.json")
    hours = {
        device: chain.Link("x", manifest.Manifest(**{**vars(made), "device": device}), ()).gpu_hours
        for device in ("cpu", "2 x cpu", "NVIDIA H100", "8 x NVIDIA H100")
    }
    one = made.seconds / 3600
    assert hours == {"cpu": 0, "2 x cpu": 0, "NVIDIA H100": one, "8 x NVIDIA H100": 8 * one}


def test_names_are_taken_by_key_and_label_and_slips_named(run):
    for row in ("sd3_f16_wlf", "SD3-F16-WLF", "sd3-f16-wlf@2048"):
        assert trace.cell(run, "table_3", row, "fid").row == "sd3_f16_wlf"
    with pytest.raises(UserError, match="row SD4: no such; give one of sd3_f16 "):
        trace.cell(run, "table_3", "SD4", "FID")
    with pytest.raises(UserError, match=r"holds no number of ours \(not run\)"):
        links(run, "flux_f16")


def test_what_is_quoted_leads_to_the_file_that_has_it(run):
    csv, prompt = Path("config/published/context.csv"), Path("config/prompts/caption.txt")
    for path in (csv, prompt):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as published", encoding="utf-8")
    row = {"key": "context:Sana:1", "label": "Sana [1]", "source": "Sana, Table 2", "context": True}
    row["cells"] = {"fid": {"published": 34.5}, "clipscore": {"published": None}}
    said = {"key": "caption", "label": "Caption prompt", "text": "Describe", "note": "the paper's"}
    columns = [{"key": "fid", "label": "FID"}, {"key": "clipscore", "label": "CLIPScore"}]
    spec = json.dumps(tiny_run.SPEC)
    for name, inputs, settings, results in (
        ("table_4", {"context": csv}, {"spec": spec}, {"rows": [row], "columns": columns}),
        ("table_11", {"caption": prompt}, {}, {"rows": [said | {"cells": {}}], "columns": []}),
    ):
        path = run.folder / f"tables/{name}.json"
        tiny_run.link(path, inputs, text=name, settings=settings, results=results)
    of = trace.cell(run, "table_4", "Sana", "FID")
    assert of.title == "table_4, context:Sana:1, fid: 34.5, Sana, Table 2"
    names = [link.name for link in trace.trace(run, of)]
    assert names == ["tables/table_4.json", "config/published/context.csv"]
    assert trace.cells(run.read(run.folder / "tables/table_4.json")) == []  # nothing of ours
    with pytest.raises(UserError, match="clipscore: nothing is published there"):
        trace.cell(run, "table_4", "Sana", "CLIPScore")
    words = trace.cell(run, "table_11", "caption", "text")
    links = trace.trace(run, words)
    assert links[-1].name == "config/prompts/caption.txt" and not any(x.fault for x in links)
    prompt.write_text("of another text", encoding="utf-8")
    assert trace.trace(run, words)[-1].fault.endswith("it was edited since")


def test_answers_of_raters_are_files_that_the_chain_ends_at(run):
    answers = Path("answers/pairs-ann.json")
    answers.parent.mkdir()
    answers.write_text('{"rater": "ann", "answers": []}', encoding="utf-8")
    votes = tiny_run.link(run.folder / "people/votes.json", {"answers-0": answers}, text="a,b")

    def faults() -> tuple[list[str], check.Report]:
        links = chain.Run(run.folder).chain(votes)
        report = check.check(run.folder, workers=1, progress=lambda total: lambda read: None)
        assert [link.name for link in links] == ["people/votes.json", str(answers)]
        return [link.fault for link in links if link.fault], report

    assert faults()[0] == [] and faults()[1].lines() == []
    text = trace.document("votes", chain.Run(run.folder).chain(votes))
    assert "pairs-ann.json" in text and "not a manifest" not in text
    answers.write_text('{"rater": "ann", "answers": [1]}', encoding="utf-8")
    (fault,), report = faults()
    assert fault == chain.EDITED and not report.broken
    assert f"was made from another {answers} than is there now" in report.stale[votes]
    answers.rename("elsewhere.json")  # theirs to move: there is nothing to repair
    assert faults()[0] == [] and faults()[1].lines() == []
    (run.folder / "sources/sd3.json").unlink()
    assert set(faults()[1].gone) == {run.folder / "sources/sd3.json"}


def test_the_script_prints_the_chain_and_fails_where_it_is_broken(run):
    command = [sys.executable, SCRIPTS / "trace.py", "table_3", "SD3-F16-WLF", "FID"]

    def script(*flags: str) -> subprocess.CompletedProcess:
        return subprocess.run([*command, *flags], capture_output=True, text=True, encoding="utf-8")

    done = script()
    assert done.returncode == 0, done.stderr
    assert "table_3, sd3_f16_wlf, fid: 12.5" in done.stdout
    for word in ("code", "versions", "settings", "command", "commit", "deleted as planned"):
        assert word in done.stdout
    record = json.loads(script("--format", "json").stdout)
    assert [link["stage"] for link in record["links"]][0] == "tables"
    page = script("--format", "html").stdout
    assert '<section id="latents/sd3/shard-0-of-1.json">' in page and "http" not in page
    (run.folder / "sources/aesthetic_4k.json").unlink()
    done = script()
    assert done.returncode == 1
    assert "the chain is broken at sources/aesthetic_4k.json: missing" in done.stderr


def test_time_does_not_count_in_what_a_link_is(run):
    path = run.folder / "latents/sd3/shard-0-of-1.json"
    before = manifest.read(path)
    time.sleep(1.1)
    tiny_run.link(path, {}, text="latents/sd3")
    after = manifest.read(path)
    assert after.made != before.made and after.digest == before.digest


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '"root": "figures"}'])
@pytest.mark.parametrize("name", ["claims.json", "figures/figure_13.json"])
def test_a_damaged_manifest_that_nothing_was_made_from_is_found(tmp_path, name, text):
    run = tiny_run.write(tmp_path / "results/tiny")
    known, apart = {m.path for m in check.find(run)}, run / "train/a/progress/0f-10/progress.json"
    for path in (run / name, apart):  # a training's own file, which it looks after
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    damaged = {}
    assert {m.path for m in check.find(run, damaged)} == known and set(damaged) == {run / name}
    assert str(run / name) in damaged[run / name]
    with pytest.raises(UserError, match=name):
        check.find(run)
