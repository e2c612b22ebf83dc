"""Every table as a LaTeX document, by Debian's TeX Live: no error, nothing wider than the page."""

import json
import re
import shutil
import subprocess
import unicodedata

import pytest

from absent import absent
from configs import resolve
from diffusion4k.dag import paper
from diffusion4k.paper import latex, published, tables
from tiny_tables import PUBLISHED, made

BARE = {"caption": "", "columns": [], "rows": [], "footer": []}


def settable(character):
    """Whether latex.py takes it for one that pdfLaTeX can set."""
    text = latex.latex(BARE | {"title": f"x{character}"})
    return unicodedata.category(character)[0] != "C" and not text.startswith("% XeLaTeX")


MOST = 3.0  # pt beyond the margin that nobody sees
HOSTILE = [
    r"50 % & #1_2 $x$ {a} ~ b ^ c \input{x}",
    'say "so" `now` <a|b> [1] *best --flag--- ↑ ± ≈ ✓ ✗ × ≥ Δ Σ →',
    "two\n\nlines\tx, é ł ß – ’ … €",
    " ".join(c for c in map(chr, [*range(0xA1, 0x180), *range(0x2010, 0x2032)]) if settable(c)),
    "a very long name of a model that somebody has given to it " * 4,
]
INTERVALS = r"\newcommand{\interval}[1]{{\scriptsize #1}}"


@pytest.fixture(scope="module")
def pdflatex():
    """Without Debian's packages a skip, in CI a failure."""
    if not (found := shutil.which("pdflatex")):
        text = "no pdflatex: apt-get install texlive-latex-recommended texlive-latex-extra"
        absent(text)
    return found


def results(spec, family, at):
    """Made-up results: each column in turn with an interval, a standard error, or bare."""
    found = {}
    for i, column in enumerate(c for c in spec["columns"] if c["family"] == family):
        value = 1234.5 if column["direction"] == "none" else 10.5 + at
        kinds = ({"interval": [value - 1, value + 1]}, {"standard_error": 0.25}, {})
        found[column["metric"]] = {"value": value, "n": 195} | kinds[(i + at) % 3]
    return found


def assembled(spec, said, folder):
    """The table with a value in every second row, and differences to the row of `against`."""
    families = {c["family"] for c in spec["columns"] if "reason" not in c}
    rows = [row["key"] for row in spec["rows"][::2] if not row.get("reason")]
    values = {
        (row, family): made(folder / f"{row}-{family}.json", results(spec, family, at))
        for at, row in enumerate(rows)
        for family in families
    }
    pairs = {}
    for row in spec.get("against", {}):
        for family in families:
            both = results(spec, family, 0)
            pair = {name: {"value": 0.1, "n": 9, "interval": [-1, 1]} for name in both}
            pairs[row, family] = made(folder / f"{row}-{family}-pair.json", pair)
    context = published.read_context(PUBLISHED / "context.csv")
    return tables.assemble(spec, said, values, context, pairs)


def every_table(folder):
    """{name: table}: those of the configuration, and one of hostile texts."""
    config, found = resolve(), {}
    for name in paper.in_numbers(config):
        spec = json.loads(paper.table_spec(config, name, ["fidelity: published"]))
        path = PUBLISHED / f"{name}.csv"
        said = published.read(path) if path.is_file() else {}
        found[name] = assembled(spec, said, folder / name)
    columns = [
        {"metric": f"m{i}", "family": "fid", "label": text, "digits": i, "direction": direction}
        for i, (text, direction) in enumerate(
            zip(HOSTILE[:3], ("lower", "higher", "none"), strict=True)
        )
    ]
    rows = [{"key": f"r{i}", "label": text} for i, text in enumerate(HOSTILE)]
    rows += [{"key": "none", "label": "none", "reason": HOSTILE[1]}]
    spec = {"title": HOSTILE[0], "caption": " ".join(HOSTILE), "columns": columns, "rows": rows}
    said = {(row["key"], "m0"): published.Published(10.5, HOSTILE[2], 1) for row in rows}
    found["hostile"] = assembled(spec | {"footer": HOSTILE}, said, folder / "hostile")
    return found


@pytest.mark.parametrize("preamble", ["", INTERVALS], ids=["plain", "intervals"])
@pytest.mark.parametrize("ours_only", [False, True], ids=["published", "ours"])
def test_a_document_of_every_table_compiles(pdflatex, tmp_path, preamble, ours_only):
    lines = [r"\documentclass{article}", r"\usepackage{booktabs,adjustbox}", preamble]
    lines += [r"\begin{document}", "Tables."]
    for name, table in every_table(tmp_path / "made").items():
        text = latex.latex(table, name, ours_only=ours_only)
        assert not text.startswith("% XeLaTeX")
        file = tmp_path / f"{name}{'.ours' * ours_only}.tex"
        file.write_text(text, encoding="utf-8")
        lines += [rf"\input{{{file.name}}}", r"\clearpage"]
    document = tmp_path / "all.tex"
    document.write_text("\n".join([*lines, r"\end{document}", ""]), encoding="utf-8")
    command = [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    log = (tmp_path / "all.log").read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0, log[-4000:]
    assert (tmp_path / "all.pdf").stat().st_size > 10_000
    wide = [float(pt) for pt in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide", log)]
    assert max(wide, default=0) <= MOST, log
    for fault in ("LaTeX Error", "Undefined", "Missing character", "too large for page"):
        assert fault not in log, re.findall(rf"^.*{fault}.*$", log, flags=re.MULTILINE)
