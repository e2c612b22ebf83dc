"""A table as CSV, Markdown, HTML and LaTeX."""

import csv
import io
import json

import pytest

import table as script
import tiny_tables
from diffusion4k import manifest
from diffusion4k.paper import latex, published, render, tables
from tiny_tables import PUBLISHED, SAID, SPEC, assemble


@pytest.fixture
def values(tmp_path):
    return tiny_tables.values(tmp_path)


def test_formats(values):
    table = assemble(values)
    lines = list(csv.DictReader(io.StringIO(render.tidy_csv(table))))
    assert len(lines) == 8
    assert lines[0] | {"difference": ""} == {
        **{"row": "sd3_f16", "metric": "fid", "published": "43.82", "ours": "45.0"},
        **{"difference": "", "n": "12", "verdict": "not judged"},
        "verdict_reason": "its uncertainty is not known; the table's `tolerance` sets one",
        **dict.fromkeys(("standard_error", "low", "high"), ""),
        **{"against": "", "against_low": "", "against_high": ""},
    }
    assert (lines[1]["low"], lines[1]["high"]) == ("30.5", "32.0")
    text = " ".join(render.markdown(table).split())
    assert "| FID ↓ published | FID ↓ ours | FID ↓ Δ |" in text
    assert "| **40.18** | 40.00 | −0.18 |" in text
    assert "| 30.41 | not run | |" in text
    assert "| 31.50 | 31.25 [30.50, 32.00] | −0.25 ✓ |" in text
    page = render.page(table)
    assert "<strong>40.18</strong>" in page
    assert "[30.50, 32.00]" in page
    assert "src=" not in page
    tex = latex.latex(table)
    assert r"\toprule" in tex
    assert r"SD3-F16-WLF@2048 & \textbf{40.18} & 40.00 & $-$0.18" in tex
    assert r"\multicolumn{3}{c}{FID $\downarrow$}" in tex
    assert r"\providecommand{\interval}[1]{{\scriptsize #1}}" in tex
    assert r"31.25\interval{ {[}30.50, 32.00]} &" in tex
    assert "\\caption{Aesthetic-Eval@2048}\n" in tex
    assert r"\begin{adjustbox}{max width=\linewidth}" in tex
    assert r"\label{" not in tex
    assert "\\label{tab:table_3}\n" in latex.latex(table, "table_3")


def test_a_zero_difference_has_no_sign():
    assert tables.shown(-0.001, 2) == "0.00"
    assert tables.shown(-0.006, 2) == "-0.01"


def test_what_is_small_is_not_shown_as_nothing(tmp_path):
    columns = [{"metric": "t", "label": "s/step", "digits": 2, "family": "a", "about": "a step"}]
    spec = {"title": "t", "columns": columns, "rows": [{"key": "a", "label": "A"}]}
    for value, printed in ((0.00361, "0.004"), (0.0, "0.00"), (0.261, "0.26")):
        result = {"t": {"value": value, "n": 3, "interval": [value, value]}}
        source = tiny_tables.made(tmp_path / f"{value}.json", result)
        table = tables.assemble(
            spec, {("a", "t"): tables.Published(None, "OOM")}, {("a", "a"): source}
        )
        assert render.texts(table["rows"][0]["cells"]["t"], 2)[1] == printed
    # of values that are all the same an interval says nothing; a result in words is one
    assert "all alike" in render.html(table) and 'title="a step"' in render.html(table)
    (line,) = csv.DictReader(io.StringIO(render.tidy_csv(table)))
    assert line["published"] == "OOM"


def test_a_table_that_the_paper_lacks_shows_ours_alone(values):
    table = tables.assemble(SPEC, {}, values)
    assert "published" not in render.html(table)
    assert "| 40.00 |" in " ".join(render.markdown(table).split())


def test_a_column_that_nobody_published_shows_ours_alone_among_others(values):
    said = published.read(PUBLISHED / "table_3.csv")
    table = tables.assemble(SPEC, {k: v for k, v in said.items() if k[1] != "fid"}, values)
    fid, clipscore = table["columns"]
    assert render.headings(table, fid) == ("ours",)
    assert render.headings(table, clipscore) == ("published", "ours", "Δ")
    html = render.html(table)
    assert html.count('<th scope="col" class="sub') == 1 + 3
    assert ' colspan="1" scope="colgroup">FID' in html
    assert r"\multicolumn{3}{c}{CLIPScore" in latex.latex(table)
    assert "| FID ↓ ours | CLIPScore ↑ published |" in " ".join(render.markdown(table).split())


def test_correlations_show_their_intervals_in_every_form(tmp_path):
    column = {"metric": "srcc", "label": "SRCC", "digits": 2, "family": "correlation"}
    column["interval"] = True
    spec = {"title": "t", "columns": [column], "rows": [{"key": "glcm", "label": "GLCM"}]}
    found = {"srcc": {"value": 0.75, "n": 9, "interval": [-0.1, 0.9]}}
    values = {("glcm", "correlation"): tiny_tables.made(tmp_path / "a.json", found)}
    table = tables.assemble(spec, {}, values)
    assert "| 0.75 [−0.10, 0.90] |" in " ".join(render.markdown(table).split())
    assert "0.75 [$-$0.10, 0.90]" in latex.latex(table)
    assert render.html(table).count("[−0.10, 0.90]") == 1


def test_texts_are_escaped(values):
    table = assemble(values, SPEC | {"title": "<b>5 % & more_", "footer": ["a_b # {c}"]})
    assert "&lt;b&gt;5 % &amp; more_" in render.page(table)
    assert r"5 \% \& more\_" in latex.latex(table)
    assert r"a\_b \# \{c\}" in latex.latex(table)


NASTY = {
    "WLF x^2": r"WLF x\textasciicircum{}2",
    "~2B": r"\textasciitilde{}2B",
    "{ours}": r"\{ours\}",
    "{0} {": r"\{0\} \{",
    "a ~ b ^ c": r"a \textasciitilde{} b \textasciicircum{} c",
    "50 % & #1_2 $x$": r"50 \% \& \#1\_2 \$x\$",
    r"\input{x}": r"\textbackslash{}input\{x\}",
    "<a|b>": r"\textless{}a\textbar{}b\textgreater{}",
    'say "so" `now`': r"say \char34{}so\char34{} \textasciigrave{}now\textasciigrave{}",
    "[1] of": "{[}1] of",
    "*best": "{*}best",
    "--flag---": "-{}-flag-{}-{}-",
    "two\n\nlines\tx\x07": "two lines x",
    "↑ ± ≈": r"$\uparrow$ $\pm$ $\approx$",
}


@pytest.mark.parametrize(("text", "escaped"), NASTY.items())
def test_latex_prints_every_sign_of_a_text_and_obeys_none(values, text, escaped):
    assert latex.escape(text) == escaped
    column = SPEC["columns"][0] | {"label": text}
    rows = [{"key": "sd3_f16", "label": text}, {"key": "none", "label": text, "reason": text}]
    spec = {"title": text, "caption": text, "columns": [column, SPEC["columns"][1]]}
    values = {place: one for place, one in values.items() if place[0] == "sd3_f16"}
    tex = latex.latex(assemble(values, spec | {"rows": rows, "footer": [text]}))
    lines = tex.splitlines()
    (caption,) = (line for line in lines if line.startswith(r"\caption{"))
    assert caption.startswith(rf"\caption{{{latex.escape(text[:1].upper() + text[1:])}")
    head = lines.index(r"\toprule") + 1
    assert lines[head].startswith(rf" & \multicolumn{{3}}{{c}}{{{escaped} $\downarrow$}} & ")
    assert [line.partition(" & ")[0] for line in lines[head + 3 : head + 5]] == [escaped] * 2
    assert f"\\par {escaped}\n" in tex
    assert rf"\par {latex.escape(f'{text}: {text}')}" in tex


def test_latex_names_the_signs_that_its_plain_form_cannot_set(values):
    assert "XeLaTeX" not in latex.latex(assemble(values, SPEC | {"title": "é – ’ … Δ"}))
    tex = latex.latex(assemble(values, SPEC | {"title": "山 and 🦊"}))
    assert tex.startswith("% XeLaTeX or LuaLaTeX, and a font that has 山 🦊\n")


def test_the_script_writes_every_format_and_a_manifest(values, tmp_path):
    output = tmp_path / "tables" / "table_3.json"
    pairs = [f"{row}:{family}={one.path}" for (row, family), one in values.items()]
    words = ["--name", "table_3", "--spec", json.dumps(SPEC), "--output", str(output)]
    words += ["--published", str(PUBLISHED / "table_3.csv"), "--values", *pairs]
    script.run(script.parser().parse_args(words))
    found = manifest.read(output)
    assert manifest.verify(found) == []
    assert [file.name for file in found.files] == [
        f"table_3.{s}" for s in ["csv", "html", "md", "ours.tex", "tex"]
    ]
    assert found.results == json.loads(json.dumps(assemble(values)))
    assert found.notes == [SAID]
    assert found.inputs["sd3_f16:fid"] == str(values["sd3_f16", "fid"].path)
