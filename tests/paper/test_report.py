"""The report: one file that loads nothing, answers first, and leads back to manifests."""

import json
import re
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image

import chromium
import report as script
from configs import resolve
from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.paper import render, tables
from diffusion4k.paper.report import page as report
from diffusion4k.paper.report import provenance
from diffusion4k.sources.miniature import notes

TEMPLATE = Path(__file__).resolve().parents[2] / "report" / "report.html"
NOTE = notes.NETWORK.format("clip")
ABOUT = "a weekend's: 5,000 of 20,000 steps, <batch> 16"
BANNER = "The numbers here prove the plumbing, not the paper."


def made(path, results=None, files=(), notes=(), settings=None, inputs=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    manifest.write(
        path,
        root=path.parent,
        files=files,
        inputs=inputs or {},
        settings=settings or {},
        results=results,
        started=time.time() - 200,
        notes=notes,
    )
    return path


@pytest.fixture
def page(tmp_path):
    """Write a report whose manifests carry `notes`, and return its HTML."""

    def write(*notes, about=""):
        hub = made(tmp_path / "sources" / "sd3.json", settings={"revision": "abc123"}, notes=notes)
        made(tmp_path / "sources" / "unused.json")
        before = {"model": hub, "start": tmp_path / "deleted.json"}
        images = made(tmp_path / "generate" / "shard.json", inputs=before)
        fid = {"fid": {"value": 41.5, "n": 12}}
        source = made(tmp_path / "metrics" / "fid.json", fid, inputs={"images": images})
        columns = [{"metric": "fid", "label": "FID", "direction": "lower", "digits": 2}]
        spec = {
            "title": "Table 3: FID & <more>",
            "columns": [columns[0] | {"family": "fid"}],
            "rows": [{"key": "sd3_f16", "label": "SD3-F16@2048"}],
            "footer": [f"This run: {about}", "fidelity: published"] if about else [],
        }
        said = {("sd3_f16", "fid"): tables.Published(43.82)}
        table = tables.assemble(spec, said, {("sd3_f16", "fid"): manifest.read(source)})
        behind = {"sd3_f16:fid": source}
        asked = {"spec": json.dumps(spec)}
        where = tmp_path / "tables" / "table_3.json"
        first = made(where, table, notes=notes, inputs=behind, settings=asked)
        picture = tmp_path / "figures" / "figure_9.png"
        picture.parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), "red").save(picture)
        shown = {"title": "Figure 9: gallery", "caption": ""}
        said_below = [f"This run: {about}", "fidelity: published"] if about else []
        where = tmp_path / "figures" / "figure_9.json"
        second = made(where, shown, [picture], notes=said_below)
        # as the workflow saves it: resolved, with a row corrected and a value set by hand
        own = {"sd3": {"hub": "stabilityai/sd3", "revision": "main", "gated": True}}
        config = resolve(fidelity={"glcm_entropy": "corrected"}, vae={"encoder": "dilation"})
        config |= {"about": ABOUT} if about else {}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config | {"sources": own}))
        output = tmp_path / "report.html"
        said = {"text": "WLF lowers FID", "target": "table_3", "where": "Table 3, FID"}
        said |= {"id": "fid", "published": "40.18 against 43.82", "ours": "41.50 against –"}
        judged = [said | {"verdict": "not run", "detail": "no row of this configuration: x"}]
        absent = {"target": "table_8", "where": "Table 8, Compression Ratio", "id": "cr"}
        absent |= {"text": "WLF lowers CR", "published": "10.50 against 11.97", "ours": ""}
        judged.append(absent | {"verdict": "not run", "detail": "no target"})
        third = made(tmp_path / "claims.json", {"claims": judged, "counts": {"not run": 1}})
        seen = tmp_path / "report" / "gallery.html"
        seen.parent.mkdir(exist_ok=True)
        seen.write_text("<p>pictures</p>")
        fourth = made(seen.with_suffix(".json"), {"pictures": 12, "prompts": 3}, [seen])
        words = ["--run", "paper", "--tables", first, "--figures", second]
        words += ["--claims", third, "--gallery", fourth]
        words += ["--chains", tmp_path / "report" / "chains.json"]
        words += ["--config", tmp_path / "config.yaml", "--template", TEMPLATE, "--output", output]
        script.run(script.parser().parse_args([str(word) for word in words]))
        return output.read_text(encoding="utf-8")

    return write


def test_the_cost_of_more_work_is_shown_as_reckoned(tmp_path):
    root = TEMPLATE.parent.parent
    text = report.build(
        TEMPLATE,
        title="t",
        run="r",
        tables=[],
        figures=[],
        config=resolve(),
        folder=tmp_path,
        scaling=root / "benchmarks" / "results" / "scaling-simulated.json",
    )
    assert "Cost as the work grows" in text and "not this run" in text and "Simulated: FLOP" in text
    assert text.count('src="data:image/') == 1


def test_the_page_is_self_contained(page):
    text = page(NOTE)
    assert re.findall(r'src="(?!data:)', text) == []
    assert not re.search(r"<script|<link|@import|url\(|srcset", text)
    assert text.count('src="data:image/png;base64,') == 1
    assert set(re.findall(r'https?://[^"\s<]+', text)) == {"https://arxiv.org/abs/2503.18352"}


def test_the_answer_comes_first_and_pictures_before_tables(page):
    text = page()
    names = ("answer", "claims", "figures", "tables", "costs")
    places = [text.index(f'id="{name}"') for name in names]
    assert places == sorted(places)
    assert "24 tables and figures this run made 2." in text
    assert 'href="#table_3"' in text and "WLF lowers FID" in text
    assert len(re.findall(r"<b>(?:Table|Figure) \d+</b>", text)) == 24
    assert "12 pictures of\n3 prompts" in text and 'href="report/gallery.html"' in text


def test_files_and_provenance_are_links_that_hold(page, tmp_path):
    text = page(NOTE)
    assert 'href="figures/figure_9.png">png' in text
    assert (tmp_path / "figures/figure_9.png").is_file()
    # from the number to its line, from the line to the manifest
    anchor = re.search(r'<td class="ours[^>]*><a href="#([^"]+)">', text)[1]
    line = text[text.index(f'<tr id="{anchor}">') :]
    assert line[: line.index("</tr>")].count('href="metrics/fid.json"') == 1
    # and on to the chain: the images, and the weights that drew them
    assert 'href="report/chains/metrics-fid.html"' in line[: line.index("</tr>")]
    chain = (tmp_path / "report/chains/metrics-fid.html").read_text(encoding="utf-8")
    assert chain.index("generate/shard.json") < chain.index("sources/sd3.json")
    # which says what was read there, of what worth it is, and leads back
    assert 'href="../../report.html#provenance"' in chain and (tmp_path / "report.html").is_file()
    assert "Table 3: FID &amp; &lt;more&gt;: SD3-F16@2048, FID 41.50" in chain
    assert chain.index(NOTE) < chain.index("generate/shard.json")
    pages = manifest.read(tmp_path / "report" / "chains.json").sound()
    assert pages == [tmp_path / "report/chains/metrics-fid.html"]


def test_the_tables_legend_explains_what_occurs_and_nothing_else(page):
    text = " ".join(page().split())
    assert "Δ: ours minus published." in text and "@: the size of our pictures" in text
    assert "Ours in bold" not in text and "by bootstrap" not in text and "±: its" not in text


def test_anchors_hold_and_each_is_there_once(page):
    """Also of claims on a table that is not on the page."""
    text = page(NOTE)
    assert 'href="#table_3">Table 3, FID</a>' in text
    assert "Table 8, Compression Ratio" in text and "10.50 against 11.97" in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)


def test_a_phone_scrolls_down_alone_and_a_number_opens_its_provenance(page, tmp_path):
    chromium.program()
    page(NOTE)
    with chromium.opened(viewport={"width": 390, "height": 844}) as browser:
        browser.goto((tmp_path / "report.html").as_uri())
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390
        assert not browser.locator("#provenance ~ details [id^=from-]").first.is_visible()
        browser.locator(".results .ours a").first.click()
        browser.locator("#provenance ~ details [id^=from-]").first.wait_for(state="visible")


def test_the_banner_stands_only_with_a_note(page):
    assert BANNER in page(NOTE)
    assert NOTE in page(NOTE)
    assert BANNER not in page()
    assert BANNER not in page("scored on the decoded JPEG, randomly named")


def test_what_the_run_is_stands_first_and_below_each_table_and_figure_unfolded(page):
    text = page(about=ABOUT)
    said = "a weekend&#39;s: 5,000 of 20,000 steps, &lt;batch&gt; 16"
    top = text[: text.index('id="answer"')]
    assert f"What this run is</strong><p>A{said[1:]}.</p>" in top
    answer = text[text.index('id="answer"') : text.index('class="counts"')]
    assert f"This run: {said}" in answer
    for key in ("table_3", "figure_9"):
        card = text[text.index(f'id="{key}"') :]
        card = re.sub(r"<details.*?</details>", "", card, flags=re.DOTALL)
        assert f"<li>This run: {said}</li>" in card[: card.index('class="downloads"')]
    assert f"This run: {said}" not in text[text.index('id="sources"') :]
    assert "What this run is" not in page()


def test_numbers_sources_fidelity_and_provenance(page, tmp_path):
    text = page()
    for cell in ("43.82", "41.50", "−2.32", "SD3-F16@2048", "Table 3: FID &amp; &lt;more&gt;"):
        assert cell in text
    assert "Ours: n = 12" in text
    assert "stabilityai/sd3" in text
    assert "<code>abc123</code>" in text
    assert "<td>sd3</td>" in text and "unused" not in text
    assert re.search(r"glcm entropy</td><td><span[^>]*>corrected", text)
    assert re.search(r"encoder downsampling</td><td><span[^>]*>vae.encoder = dilation", text)
    assert re.search(r"clip truncation</td><td><span[^>]*>published", text)
    assert str(tmp_path / "metrics" / "fid.json") in text
    assert "3 min 20 s" in text
    assert "zhang2025diffusion4k" in text


def test_the_script_says_what_was_made(page, capsys, tmp_path):
    page()
    said = capsys.readouterr().out
    assert "### Table 3: FID & <more>" in said
    assert "FID ↓ published" in said
    assert said.splitlines()[-1].startswith(f"report: {tmp_path / 'report.html'} (")


def test_a_large_figure_becomes_a_jpeg(tmp_path):
    path = tmp_path / "noise.png"
    Image.effect_noise((2400, 600), 90).convert("RGB").save(path)
    assert path.stat().st_size > report.LARGEST_PNG
    assert report.data_uri(path).startswith("data:image/jpeg;base64,")


def test_what_is_no_table_is_named(tmp_path):
    path = made(tmp_path / "table_1.json", {"n": 3})
    with pytest.raises(UserError, match="table_1.json: not a table"):
        report._table(manifest.read(path), tmp_path)
    (tmp_path / "config.yaml").write_text(json.dumps([1]))
    with pytest.raises(UserError, match="not a mapping"):
        script.read_config(tmp_path / "config.yaml")


def test_prompts_come_from_the_configuration_or_a_file_of_it(tmp_path):
    listed = {"file": None, "texts": ["a cat", "a dog"]}
    texts = manifest.read(made(tmp_path / "prompts" / "mine.json", settings=listed))
    in_file = made(tmp_path / "prompts" / "words.json", settings={"file": "config/words.jsonl"})
    origins = [provenance.source(m, {}) for m in (texts, manifest.read(in_file))]
    assert [(o["how"], o["where"]) for o in origins] == [
        ("the configuration,", "prompts.mine.texts"),
        ("here", "config/words.jsonl"),
    ]


def test_where_published_numbers_stand_is_said(tmp_path):
    quoted = {"published": tmp_path / "table_3.csv"}
    quoted["published"].write_text("row,fid\n")
    results = {"title": "Table 3", "rows": [], "provenance": []}
    table = manifest.read(made(tmp_path / "tables" / "table_3.json", results, inputs=quoted))
    assert provenance.table(table, tmp_path, {})["quoted"] == [str(quoted["published"])]
    assert provenance.quoted(table) == "#quoted-table_3"
    cell = dict.fromkeys(("ours", "difference", "n"), None) | {"published": 40.2, "best": [0, 0]}
    cell |= {"published_digits": 2, "published_note": "", "verdict": "not run"}
    fid = {"key": "fid", "label": "FID", "family": "fid", "direction": "lower", "digits": 2}
    row = {"key": "a", "label": "A", "cells": {"fid": cell}}
    shown = render.html({"columns": [fid], "rows": [row]}, quoted=provenance.quoted(table))
    assert '<a href="#quoted-table_3">40.20</a>' in shown
