"""Tables built from made-up manifests."""

import pytest

import table as script
import tiny_tables
from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.paper import latex, published, render, tables
from diffusion4k.paper.footer import together
from tiny_tables import PUBLISHED, SAID, SPEC, assemble, made


@pytest.fixture
def values(tmp_path):
    return tiny_tables.values(tmp_path)


def rows(table):
    return {row["key"]: row["cells"] for row in table["rows"]}


def test_published_ours_and_difference_stand_side_by_side(values):
    table = assemble(values)
    cell = rows(table)["sd3_f16"]["fid"]
    assert (cell["published"], cell["ours"], cell["n"]) == (43.82, 45.0, 12)
    assert cell["difference"] == pytest.approx(1.18)
    assert rows(table)["sd3_f16"]["clipscore"]["interval"] == [30.5, 32.0]
    assert [row["label"] for row in table["rows"]] == [row["label"] for row in SPEC["rows"]]
    assert [c["key"] for c in table["columns"]] == ["fid", "clipscore"]
    assert "Ours: FID n = 12, CLIPScore n = 6" in table["footer"]
    assert table["footer"][0] == "fidelity: published"
    assert table["footer"].count(SAID) == 1


def test_a_missing_value_is_not_run_or_has_its_reason(values):
    cells = rows(assemble(values))
    assert cells["flux_f16"]["clipscore"]["verdict"] == "not run"
    assert cells["flux_f16"]["clipscore"]["ours"] is None
    assert cells["flux_f16"]["clipscore"]["published"] == 30.41
    assert cells["pixart_30k"]["fid"]["verdict"] == "cannot be run"
    assert cells["pixart_30k"]["fid"]["verdict_reason"] == "data never released"
    assert "PixArt-30k: data never released" in assemble({})["footer"]


def test_a_run_that_could_not_give_a_number_says_why(values, tmp_path):
    failed = made(tmp_path / "flux.json", {"failed": "offloading needs a GPU"})
    table = assemble(values | {("flux_f16", "alignment"): failed})
    cell = rows(table)["flux_f16"]["clipscore"]
    assert (cell["verdict"], cell["ours"]) == ("cannot be run", None)
    assert cell["verdict_reason"] == "offloading needs a GPU"
    assert any(line.endswith(": offloading needs a GPU") for line in table["footer"])


def test_what_is_said_of_several_is_said_once():
    said = "is random: its scores mean nothing"
    notes = [f"clip {said}", f"head {said}", "train: 2 images come twice", f"clip {said}"]
    assert together(notes) == [f"clip, head: each {said}", "train: 2 images come twice"]


@pytest.mark.parametrize("bad", ["NaN", "Infinity", '"12"', "true", "null"])
def test_what_is_no_number_is_refused(values, bad):
    path = values["sd3_f16", "fid"].path
    path.write_text(path.read_text().replace("45.0", bad))
    with pytest.raises(UserError, match=r"sd3_f16-fid.json: fid is .*, not a finite number"):
        assemble(values | {("sd3_f16", "fid"): manifest.read(path)})


def test_a_bare_number_and_a_column_called_otherwise(tmp_path):
    columns = [
        {"key": "steps", "metric": "step", "label": "steps", "digits": 0, "family": "training"},
        {"metric": "images_per_second", "label": "images/s", "digits": 2, "family": "training"},
    ]
    spec = {"title": "Table 10", "columns": columns, "rows": [{"key": "sd3_f16_wlf", "label": "x"}]}
    source = made(tmp_path / "step.json", {"step": 600, "images_per_second": 12.5})
    said = published.read(PUBLISHED / "table_10.csv")
    table = tables.assemble(spec, said, {("sd3_f16_wlf", "training"): source})
    cells = rows(table)["sd3_f16_wlf"]
    assert (cells["steps"]["published"], cells["steps"]["ours"]) == (20000, 600)
    assert cells["images_per_second"]["n"] is None
    assert "Published x images/s: 2× A800-80G" in table["footer"]


def test_context_rows_follow_with_their_source_and_never_compete(values):
    context = published.read_context(PUBLISHED / "context.csv")
    table = assemble(values, SPEC | {"context": "eval_2048"}, context=context)
    sana = next(row for row in table["rows"] if row["label"] == "Sana [1]")
    assert sana["cells"]["fid"]["published"] == 32.06
    assert sana["cells"]["fid"]["best"] == [False, False]
    assert any(line.startswith("[1] as published by Latent Wavelet") for line in table["footer"])


def test_a_difference_inside_its_interval_is_marked(values, tmp_path):
    base = {"row": "sd3_f16", "label": "SD3-F16@2048"}
    spec = SPEC | {"against": {"sd3_f16_wlf": base, "flux_f16": base}}
    for row in spec["against"]:
        score = {"clipscore": {"value": 31.65, "n": 6}}
        values[row, "alignment"] = made(tmp_path / f"{row}.json", score)
    differences = {
        (row, "alignment"): made(
            tmp_path / f"{row}-against.json",
            {"clipscore": {"value": 0.4, "n": 6, "interval": ends}},
        )
        for row, ends in (("sd3_f16_wlf", [-0.2, 1.0]), ("flux_f16", [0.1, 0.9]))
    }
    table = assemble(values, spec, comparisons=differences)
    cells = rows(table)
    against = cells["sd3_f16_wlf"]["clipscore"]["against"]
    assert against == {
        **base,
        "difference": 0.4,
        **{"interval": [-0.2, 1.0], "distinguishable": False},
    }
    assert cells["flux_f16"]["clipscore"]["against"]["distinguishable"]
    assert "against" not in cells["sd3_f16"]["clipscore"]
    text = render.markdown(table)
    assert "≈ 31.65" in text
    assert text.count("≈") == 2  # one cell and its explanation below the table
    html = render.html(table)
    assert "+0.40 [−0.20, +1.00]<" in html and ">vs SD3-F16@2048<" in html
    assert r"$\approx$ 31.65" in latex.latex(table)
    assert "0.4,-0.2,1.0" in render.tidy_csv(table)
    with pytest.raises(UserError, match="no such row"):
        assemble(
            values,
            spec,
            comparisons={("nobody", "alignment"): differences["flux_f16", "alignment"]},
        )


def test_a_standard_error_stands_beside_its_value(tmp_path):
    column = {"metric": "kid", "label": "KID", "digits": 4, "family": "fid"}
    spec = {"title": "t", "columns": [column], "rows": [{"key": "a", "label": "A"}]}
    kid = {"kid": {"value": 0.01234, "n": 9, "standard_error": 0.002}}
    floor = {
        "fid_floor": {"value": 88.5, "n": 4, "splits": [{"n": 4}]},
        "patch_fid": {"value": 1, "n": 9, "crops": 36},
    }
    table = tables.assemble(spec, {}, {("a", "fid"): made(tmp_path / "a.json", kid | floor)})
    assert "0.0123 ± 0.0020" in render.markdown(table)
    # floor and crops are said below the columns that they explain, and nowhere else
    assert not any("photographs" in line or "crops" in line for line in table["footer"])
    more = [column | {"metric": name, "label": name} for name in ("fid", "patch_fid")]
    measured = kid | floor | {"fid": {"value": 91.0, "n": 9}}
    wide = spec | {"columns": [column, *more]}
    table = tables.assemble(wide, {}, {("a", "fid"): made(tmp_path / "c.json", measured)})
    said = "One half of the reference photographs against the other: fid 88.50 (n = 4,"
    assert any(line.startswith(said) for line in table["footer"])
    measured["fid_floor"] = {"value": 50.0, "n": 9, "splits": [{"n": 4}, {"n": 2}, {"n": 1}]}
    at_n = tables.assemble(wide, {}, {("a", "fid"): made(tmp_path / "d.json", measured)})
    said = (
        "photographs against as many others: fid 50.00 (n = 9, extrapolated from disjoint sets of 4"
    )
    assert any(said in line for line in at_n["footer"])
    assert "patch FID: 36 crops of 9 images, at full resolution" in table["footer"]
    broken = kid | {"kid": kid["kid"] | {"standard_error": "much"}}
    with pytest.raises(UserError, match="not a finite number"):
        tables.assemble(spec, {}, {("a", "fid"): made(tmp_path / "b.json", broken)})


def test_long_prompts_are_flagged_below_the_table(values, tmp_path):
    score = {"clipscore": {"value": 31.0, "n": 6}, "long_prompts": {"value": 2, "n": 6}}
    values["flux_f16", "alignment"] = made(tmp_path / "long.json", score)
    line = "CLIPScore: 2 of 6 prompts are longer than CLIP's 77 tokens and were cut"
    assert line in assemble(values)["footer"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"colums": []}, "colums"),
        ({"rows": [{"key": "a"}]}, r"\$\.rows\[0\]: 'label' is a required property"),
        ({"rows": SPEC["rows"] + SPEC["rows"][:1]}, "a key comes twice"),
        ({"columns": [SPEC["columns"][0] | {"direction": "up"}]}, "'up' is not one of"),
    ],
)
def test_a_slip_in_the_spec_is_one_line(values, change, says):
    with pytest.raises(UserError, match=says):
        assemble({}, SPEC | change)


def test_values_without_a_place_are_refused(values):
    stray = values["sd3_f16", "fid"]
    with pytest.raises(UserError, match="sd3_f17:fid: no such row"):
        assemble({("sd3_f17", "fid"): stray})
    with pytest.raises(UserError, match="sd3_f16:texture: no such family"):
        assemble({("sd3_f16", "texture"): stray})
    with pytest.raises(UserError, match="--comparisons sd3_f16=here.json: write ROW:FAMILY="):
        script.read_values("--comparisons", ["sd3_f16=here.json"])
    with pytest.raises(UserError, match="--values: sd3_f16:fid is given twice"):
        script.read_values("--values", [f"sd3_f16:fid={stray.path}"] * 2)
