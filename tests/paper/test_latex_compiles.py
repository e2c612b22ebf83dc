"""Every table, and figures, as LaTeX documents: no error, nothing wider than the page."""

import json
import unicodedata

import pytest
from PIL import Image

import texlive
from configs import resolve
from diffusion4k.dag import paper
from diffusion4k.endpoints import prompts
from diffusion4k.paper import latex, prompt_table, published, tables, tex
from tiny_tables import PUBLISHED, made

BARE = {"caption": "", "columns": [], "rows": [], "footer": []}


def settable(character):
    """Whether latex.py takes it for one that pdfLaTeX can set."""
    text = latex.latex(BARE | {"title": f"x{character}"})
    return unicodedata.category(character)[0] != "C" and not text.startswith("% XeLaTeX")


HOSTILE = [
    r"50 % & #1_2 $x$ {a} ~ b ^ c \input{x}",
    'say "so" `now` <a|b> [1] *best --flag--- ↑ ± ≈ ✓ ✗ × ≥ Δ Σ →',
    "two\n\nlines\tx, é ł ß – ’ … €",
    " ".join(c for c in map(chr, [*range(0xA1, 0x180), *range(0x2010, 0x2032)]) if settable(c)),
    "a very long name of a model that somebody has given to it " * 4,
]
PLAIN = r"\newcommand{\interval}[1]{}"


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
        spec = json.loads(paper.spec(config, name, ["fidelity: published"]))
        path = PUBLISHED / f"{name}.csv"
        said = published.read(path) if path.is_file() else {}
        found[name] = assembled(spec, said, folder / name)
    for name in paper.in_words(config):
        words = map(prompts.read, paper.prompt_files(config, name))
        found[name] = prompt_table.assemble(config["tables"][name]["title"], words)
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


@pytest.mark.parametrize("preamble", ["", PLAIN], ids=["intervals", "plain"])
@pytest.mark.parametrize("ours_only", [False, True], ids=["published", "ours"])
def test_a_document_of_every_table_compiles(tmp_path, preamble, ours_only):
    names = []
    for name, table in every_table(tmp_path / "made").items():
        text = latex.latex(table, name, ours_only=ours_only)
        assert not text.startswith("% XeLaTeX")
        names.append(f"{name}{'.ours' * ours_only}.tex")
        (tmp_path / names[-1]).write_text(text, encoding="utf-8")
    assert {f"table_{n}{'.ours' * ours_only}.tex" for n in range(1, 12)} <= set(names)
    texlive.document(tmp_path, names, preamble)


def test_a_document_with_figures_of_any_shape_and_text_compiles(tmp_path):
    shapes = {"wide": (900, 100), "tall": (100, 900), "hostile": (40, 30)}
    for name, size in shapes.items():
        Image.new("RGB", size, "red").save(tmp_path / f"{name}.pdf")
        text = "It is one." if name != "hostile" else " ".join(HOSTILE)
        title = f"Figure 9: {name}" if name != "hostile" else HOSTILE[0]
        own = tex.figure(name, f"{name}.pdf", title, text, HOSTILE)
        (tmp_path / f"{name}.tex").write_text(own, encoding="utf-8")
    assert r"\caption{Wide. It is one.}" in (tmp_path / "wide.tex").read_text(encoding="utf-8")
    log = texlive.document(tmp_path, [f"{name}.tex" for name in shapes])
    assert all(f"{name}.pdf" in log for name in shapes)
