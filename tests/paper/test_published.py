"""Published numbers: those of the paper, table by table, and of other papers with their source."""

from pathlib import Path

import pytest

from diffusion4k.errors import UserError
from diffusion4k.paper import published

PUBLISHED = Path(__file__).resolve().parents[2] / "config" / "published"

# (table, row, metric, value): one or two of each table of the paper
SPOT = [
    (1, "glcm", "srcc", 0.75),
    (1, "maniqa", "plcc", 0.26),
    (2, "sd3", "rfid", 1.40),
    (2, "flux", "psnr", 29.22),
    (2, "flux", "lpips", 0.16),
    (3, "flux_f16_wlf", "fid", 39.49),
    (3, "sd3_f16", "aesthetics", 5.91),
    (4, "flux_f16", "cr", 14.80),
    (4, "sd3_f16_wlf", "glcm", 0.79),
    (5, "sd3_f16", "seconds_per_step", 1.16),
    (5, "flux_f8", "memory_gb", None),
    (6, "flux_f16_laion", "clipscore", 29.12),
    (7, "sd3_f16_finetune", "clipscore", 34.14),
    (8, "sd3_f16_wlf", "cr", 10.50),
    (9, "eval_4096", "median_width", 6449),
    (9, "pixart_30k", "median_height", 1615),
    (10, "flux_f16_wlf", "images_per_second", 1.39),
    (10, "sd3_f16_wlf", "steps", 20000),
]
CELLS = {1: 8, 2: 10, 3: 12, 4: 8, 5: 12, 6: 8, 7: 6, 8: 6, 9: 16, 10: 4}


@pytest.mark.parametrize(("number", "row", "metric", "value"), SPOT)
def test_published_numbers(number, row, metric, value):
    cells = published.read(PUBLISHED / f"table_{number}.csv")
    assert cells[row, metric].value == value
    assert len(cells) == CELLS[number]
    assert value is not None or cells[row, metric].note == "OOM"


def test_tables_that_share_rows_agree():
    ablation = published.read(PUBLISHED / "table_7.csv")
    captions = published.read(PUBLISHED / "table_6.csv")
    for metric in ("clipscore", "aesthetics"):
        assert ablation["sd3_f16", metric].value == captions["sd3_f16", metric].value


@pytest.mark.parametrize("read", [published.read, published.read_context])
@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda text: text + "Müller".encode("latin-1"), "not UTF-8"),
        (lambda text: text + b'"open', "no CSV .*quotation mark"),
    ],
)
def test_what_another_program_saved_otherwise_is_one_line(tmp_path, read, harm, says):
    name = "table_3.csv" if read is published.read else "context.csv"
    (tmp_path / name).write_bytes(harm((PUBLISHED / name).read_bytes()))
    with pytest.raises(UserError, match=rf"{name}.*: {says}") as error:
        read(tmp_path / name)
    assert "\n" not in str(error.value)


def test_context_names_its_source():
    rows = published.read_context(PUBLISHED / "context.csv")
    assert len(rows) == 169
    found = {(r.system, r.evaluation, r.metric): r for r in rows if "Table 2" in r.source}
    row = found["UltraFlux", "eval_4096", "fid"]
    assert (row.value, row.source) == (143.11, "UltraFlux, arXiv 2511.18050, Table 2")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a,fid,nan,", "line 2: 'nan' is not a finite number"),
        ("a,fid,,", "neither value nor note"),
        ("a,fid,1,\na,fid,2,", "line 3: a, fid comes twice"),
        ("a,fid,1,so, so", "not 4 columns"),
        ("a,fid,1", "not 4 columns"),
    ],
)
def test_a_bad_published_line_is_named(tmp_path, line, says):
    path = tmp_path / "table.csv"
    path.write_text(f"row,metric,value,note\n{line}\n")
    with pytest.raises(UserError, match=says):
        published.read(path)
