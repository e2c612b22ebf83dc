"""What a cell says of the paper, from made-up numbers through the real configuration's check."""

import json
import math

import pytest

from configs import fault, load, merge
from configs import resolve as resolved
from diffusion4k.config import resolve
from diffusion4k.dag import paper
from diffusion4k.paper import latex, published, render, tables
from diffusion4k.paper.report import notes as notes_below
from diffusion4k.sources.miniature import notes
from tiny_tables import NOTE, PUBLISHED, made

ROWS = ("sd3_f16", "sd3_f16_wlf", "flux_f16", "flux_f16_wlf")


def assemble(config, name, values, comparisons=None):
    """A table as the workflow makes it: its spec from a configuration that was checked."""
    spec = json.loads(paper.spec(config, name, []))
    said = published.read(PUBLISHED / f"{name}.csv")
    context = published.read_context(PUBLISHED / "context.csv")
    return tables.assemble(spec, said, values, context, comparisons)


def cell(table, row, column):
    return next(r for r in table["rows"] if r["key"] == row)["cells"][column]


def numbers(folder, family, results, **more):
    """{(row, family): manifest}, from row => results."""
    return {
        (row, family): made(folder / f"{row}-{family}.json", result, **more)
        for row, result in results.items()
    }


def clipscore(value, half):
    return {"clipscore": {"value": value, "n": 2781, "interval": [value - half, value + half]}}


def test_by_default_both_sides_sampling_and_the_papers_rounding_are_allowed(tmp_path):
    """31.50 is published; with a half interval of 0.10 the difference may be √2 of it and 0.005."""
    limit = 0.10 * math.sqrt(2) + 0.005
    scores = {
        "sd3_f16": clipscore(31.50 + limit - 1e-3, 0.10),
        "sd3_f16_wlf": clipscore(34.04 - limit - 1e-3, 0.10),
        "flux_f16": {"clipscore": {"value": 30.41, "n": 2781}},
    }
    table = assemble(resolved(), "table_3", numbers(tmp_path, "alignment", scores))
    inside, outside = (cell(table, row, "clipscore") for row in ("sd3_f16", "sd3_f16_wlf"))
    assert inside["verdict"] == "reproduced" and "allowed 0.146" in inside["verdict_reason"]
    assert outside["verdict"] == "direction reproduced"  # 33.90 is well above 31.64
    # no uncertainty and no tolerance: not even the published number itself is judged
    assert cell(table, "flux_f16", "clipscore")["verdict"] == "not judged"
    assert cell(table, "flux_f16_wlf", "clipscore")["verdict"] == "not run"
    assert cell(table, "sd3_f16", "clipscore_end_token")["verdict"] == "not run"


def test_a_tolerance_of_the_configuration_decides(tmp_path):
    fid = {
        row: {"fid": {"value": value, "n": 2781}}
        for row, value in zip(ROWS, (44.8, 41.2, 50.6, 39.5), strict=False)
    }
    values = numbers(tmp_path, "fid", fid)
    verdicts = [
        cell(assemble(resolved(), "table_3", values), row, "fid")["verdict"] for row in ROWS
    ]
    assert verdicts == ["reproduced", "direction reproduced", "reproduced", "reproduced"]
    strict = resolved(tables={"table_3": {"tolerance": {"fid": 0.5}}})
    assert (
        cell(assemble(strict, "table_3", values), "sd3_f16", "fid")["verdict"] == "not reproduced"
    )
    # it wins over what follows from the sampling
    wide = resolved(tables={"table_3": {"tolerance": {"clipscore": 3}}})
    scores = numbers(tmp_path, "alignment", {"sd3_f16": clipscore(34, 0.1)})
    assert (
        cell(assemble(wide, "table_3", scores), "sd3_f16", "clipscore")["verdict"] == "reproduced"
    )
    assert "no column 'fdi'" in fault(tables={"table_3": {"tolerance": {"fdi": 1}}})
    assert "tolerance" in fault(tables={"table_3": {"tolerance": {"fid": -1}}})


def test_what_is_not_sampled_is_equal_as_printed(tmp_path):
    sizes = {
        "median_height": {"value": 4128.4, "n": 12015},
        "mean_width": {"value": 4839, "n": 12015},
    }
    table = assemble(resolved(), "table_9", numbers(tmp_path, "sizes", {"train": sizes}))
    assert cell(table, "train", "median_height")["verdict"] == "reproduced"
    assert cell(table, "train", "mean_width")["verdict"] == "not reproduced"
    never = cell(table, "pixart_30k", "mean_width")
    assert (never["verdict"], never["verdict_reason"]) == (
        "cannot be run",
        "the data was never released",
    )
    text = render.markdown(table)
    assert "0 ✓" in text and "+1 ✗" in text and "- ✓ reproduced, ✗ not reproduced: " in text


def test_the_papers_rounding_is_that_of_its_own_digits(tmp_path):
    """NMSE is printed as 0.09: 0.094 is it, and is shown as 0.09 though ours has five digits."""
    nmse = {"nmse": {"value": 0.094, "n": 12015, "interval": [0.0939, 0.0941]}}
    table = assemble(resolved(), "table_2", numbers(tmp_path, "reconstruction", {"sd3": nmse}))
    assert cell(table, "sd3", "nmse")["verdict"] == "reproduced"
    assert "| 0.09 | 0.09400 [0.09390, 0.09410] |" in " ".join(render.markdown(table).split())


@pytest.mark.parametrize(
    ("device", "verdict"),
    [("NVIDIA A800-SXM4-80GB", "reproduced"), ("NVIDIA H100 80GB HBM3", "not judged")],
)
def test_a_time_is_judged_on_the_papers_gpu_alone(tmp_path, device, verdict):
    results = {"sd3_f16_wlf": {"step": 20000, "images_per_second": 0.6}}
    values = numbers(tmp_path, "training", results, device=device)
    table = assemble(resolved(), "table_10", values)
    assert cell(table, "sd3_f16_wlf", "images_per_second")["verdict"] == verdict
    assert cell(table, "sd3_f16_wlf", "steps")["verdict"] == "reproduced"


def test_out_of_memory_is_a_result(tmp_path):
    results = {row: {"failed": "out of GPU memory"} for row in ("sd3_f8", "sd3_f16")}
    table = assemble(resolved(), "table_5", numbers(tmp_path, "efficiency", results))
    assert cell(table, "sd3_f8", "memory_gb")["verdict"] == "reproduced"
    assert cell(table, "sd3_f16", "memory_gb")["verdict"] == "not reproduced"


@pytest.mark.parametrize(
    "note",
    [
        "/data/random seeds: 6 pictures are PNG; encoded here as JPEG of quality 95, 4:2:0",
        "miniature captions of train: by Random-7B",
        "tiny-random-sd3: revision main",
        "photographs of A800 cards: 6 pictures are PNG",
    ],
)
def test_words_of_peoples_own_in_a_note_decide_no_verdict(tmp_path, note):
    sizes = {"mean_height": {"value": 4578.0, "n": 36}}
    table = assemble(
        resolved(), "table_9", numbers(tmp_path, "sizes", {"train": sizes}, notes=[note])
    )
    assert cell(table, "train", "mean_height")["verdict"] == "reproduced"
    assert notes_below.split([note], []) == ([note], [], False)
    timed = {"sd3_f16_wlf": {"step": 20000, "images_per_second": 0.6}}
    values = numbers(tmp_path, "training", timed, device="NVIDIA H100", notes=[note])
    table = assemble(resolved(), "table_10", values)
    assert cell(table, "sd3_f16_wlf", "images_per_second")["verdict"] == "not judged"


def test_what_rests_on_miniature_or_random_inputs_is_not_judged(tmp_path):
    sizes = {"mean_height": {"value": 274.0, "n": 36}}
    note = notes.DATASET.format("Aesthetic-4K")
    values = numbers(tmp_path, "sizes", {"train": sizes}, notes=[note])
    values |= numbers(tmp_path, "sizes", {"eval_2048": sizes}, notes=[NOTE])
    table = assemble(resolved(), "table_9", values)
    for row in ("train", "eval_2048"):
        found = cell(table, row, "mean_height")
        assert (found["ours"], found["difference"], found["verdict"]) == (274.0, None, "not judged")
    for text in (render.markdown(table), render.html(table), latex.latex(table)):
        assert "Δ" not in text and r"\Delta" not in text and "4304" not in text
    assert (
        "Not judged beside published numbers: rests on miniature or random inputs"
        in table["footer"]
    )


def test_a_miss_by_other_settings_says_so(tmp_path):
    spec = json.loads(paper.spec(resolved(), "table_3", ["Not as in the paper: seed = 7"]))
    said = published.read(PUBLISHED / "table_3.csv")
    values = numbers(tmp_path, "alignment", {"sd3_f16": clipscore(20, 0.1)})
    found = cell(tables.assemble(spec, said, values), "sd3_f16", "clipscore")
    assert found["verdict_reason"].endswith("settings are not the paper's, see the notes")


def test_every_form_shows_the_verdict(tmp_path):
    values = numbers(tmp_path, "alignment", {"sd3_f16": clipscore(31.5, 0.1)})
    table = assemble(resolved(), "table_3", values)
    assert ",reproduced,|Δ| 0," in render.tidy_csv(table).replace('"', "")
    html = render.html(table)
    assert (
        '<span class="verdict" role="img" aria-label="reproduced"' in html and ">✓</span>" in html
    )
    assert r"0.00 $\surd$" in latex.latex(table)
    ours = latex.latex(table, ours_only=True)
    assert "31.50" in ours and "surd" not in ours and "published" not in ours and "Sana" not in ours


# published_as


def test_the_released_checkpoint_stands_beside_its_own_published_numbers(tmp_path):
    raw = load("config.yaml", "baselines.yaml")
    config = resolve.resolve(raw)
    values = numbers(tmp_path, "fid", {"flux_wavelet": {"fid": {"value": 39.9, "n": 2781}}})
    table = assemble(config, "table_3", values)
    found = cell(table, "flux_wavelet", "fid")
    assert (found["published"], found["verdict"]) == (39.49, "reproduced")
    assert found["difference"] == pytest.approx(0.41)
    line = "Published beside Flux-F16-WLF (released)@2048: the numbers of Flux-F16-WLF@2048"
    assert line in table["footer"]
    merge(raw, {"models": {"flux_wavelet": {"published_as": "flux_f17"}}})
    with pytest.raises(
        resolve.UserError, match="models.flux_wavelet.published_as: no models entry"
    ):
        resolve.resolve(raw)


# bold


def kid(value, error):
    return {"kid": {"value": value, "n": 195, "standard_error": error}}


ABLATION = ("sd3_f16", "sd3_f16_finetune", "sd3_f16_wlf")


def bold(table, column):
    return [row["key"] for row in table["rows"] if row["cells"][column]["best"][1]]


def test_only_what_is_best_beyond_doubt_is_bold(tmp_path):
    def of(*results):
        values = numbers(tmp_path, "fid", dict(zip(ABLATION, results, strict=True)))
        spec = json.loads(paper.spec(resolved(), "table_fid4096", []))
        return tables.assemble(spec, {}, values)

    # the best is not told from the second
    assert bold(of(kid(0.21, 0.11), kid(-0.0927, 0.1893), kid(0.05, 0.08)), "kid") == []
    apart = of(kid(0.21, 0.01), kid(-0.01, 0.01), kid(0.05, 0.01))
    assert bold(apart, "kid") == ["sd3_f16_finetune"]
    # two are alike and better than the third: neither is the best
    assert bold(of(kid(0.21, 0.01), kid(0.05, 0.01), kid(0.051, 0.01)), "kid") == []
    # of FID nobody knows an interval; a tolerance would stand for it
    fids = ({"fid": {"value": value, "n": 195}} for value in (160.0, 150.0, 140.0))
    assert bold(of(*fids), "fid") == []


def test_a_paired_interval_tells_rows_apart_and_nothing_alike_is_bold(tmp_path):
    scores = {"sd3_f16": clipscore(33.0, 0.5), "sd3_f16_wlf": clipscore(33.4, 0.5)}
    values = numbers(tmp_path, "alignment", scores)
    for ends, best in (([0.1, 0.7], ["sd3_f16_wlf"]), ([-0.1, 0.9], [])):
        difference = {"clipscore": {"value": 0.4, "n": 2781, "interval": ends}}
        against = numbers(tmp_path / str(ends[0]), "alignment", {"sd3_f16_wlf": difference})
        table = assemble(resolved(), "table_3", values, against)
        assert bold(table, "clipscore") == best
        assert ("≈ 33.40" in render.markdown(table)) == (best == [])
    # without the comparison their own intervals overlap
    assert bold(assemble(resolved(), "table_3", values), "clipscore") == []


def test_the_published_best_is_bold_as_printed():
    table = assemble(resolved(), "table_4", {})
    best = [row["key"] for row in table["rows"] if row["cells"]["cr"]["best"][0]]
    assert best == ["sd3_f16_wlf"]  # others' rows, which are lower still, do not compete
