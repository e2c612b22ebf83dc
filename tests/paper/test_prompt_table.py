"""Table 11: the prompts that judge and captions read, in every form of a table."""

import io
import shutil
import subprocess

import pandas as pd
import pytest

import prompt_table as script
import tiny_dataset
from absent import absent
from diffusion4k import manifest
from diffusion4k.endpoints import prompts
from diffusion4k.paper import latex, prompt_table, render

NAMES = ("caption", "preference_system", "preference")


@pytest.fixture
def table():
    return prompt_table.assemble(
        "Table 11: prompts", [prompts.read(prompts.path(n)) for n in NAMES]
    )


def test_every_form_has_every_word(tmp_path):
    output = tmp_path / "table_11.json"
    files = [prompts.path(name) for name in NAMES]
    flags = ("--name", "table_11", "--title", "Table 11: prompts", "--prompts", *files)
    made = tiny_dataset.run(script, *flags, "--output", output)
    assert len(made.paths()) == 5 and (tmp_path / "table_11.ours.tex").is_file()
    for path in made.paths():
        text = path.read_text(encoding="utf-8")
        for said in (
            "Just start describing the scene please.",
            "prompt coherence and fine details",
        ):
            assert said in text, path
        assert "the sentences are ours" in text
    cells = pd.read_csv(io.StringIO((tmp_path / "table_11.csv").read_text(encoding="utf-8")))
    assert list(cells["row"]) == list(NAMES)
    assert list(cells["text"]) == [prompts.read(file).text for file in files]


def test_the_report_shows_the_words_and_not_an_empty_grid(table, tmp_path):
    text = render.html(table)
    assert "&lt;the first image is better&gt; or &lt;the second image is better&gt;" in text
    assert text.count("<tr>") == 4 and "<h1>Table 11: prompts</h1>" in render.page(table)
    path = tmp_path / "table_11.json"
    manifest.write(
        path, root=tmp_path, files=[], inputs={}, settings={}, results=table, started=0.0
    )
    assert "Just start describing" in render.markdown(manifest.read(path).results)


def test_latex_takes_the_prompts(table, tmp_path):
    text = latex.latex(table, name="table_11")
    assert r"\{caption\}" in text and r"\textless{}the first image is better\textgreater{}" in text
    if shutil.which("pdflatex") is None:
        absent("no pdflatex: apt-get install texlive-latex-recommended texlive-latex-extra")
    packages = r"\usepackage[utf8]{inputenc}\usepackage{booktabs,adjustbox}"
    document = rf"\documentclass{{article}}{packages}\begin{{document}}{text}\end{{document}}"
    (tmp_path / "t.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
