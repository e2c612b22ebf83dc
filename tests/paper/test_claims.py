"""The paper's claims: each kind, with every verdict that it can get."""

import json
import shlex

import pytest

import claims as script
import table as table_script
from configs import resolve as resolved
from diffusion4k import manifest
from diffusion4k.dag import claims as dag
from diffusion4k.dag import paper
from diffusion4k.errors import UserError
from diffusion4k.paper import claims, published, tables
from tiny_tables import NOTE, PUBLISHED, made


def table(config, name, values, folder):
    """A table of made-up results, (row, family) => results, as tables.assemble gives it."""
    spec = json.loads(paper.spec(config, name, []))
    made_up = {
        (row, family): made(folder / f"{name}-{row}-{family}.json", results)
        for (row, family), results in values.items()
    }
    path = PUBLISHED / f"{name}.csv"
    return tables.assemble(spec, published.read(path), made_up)


def judged(tmp_path, name, values, *, of, results=None, votes=None, **changes):
    """{claim: what is said of it} of the default claims `of` a table, by made-up numbers."""
    config = resolved(**changes)
    asked = [c for c in json.loads(dag.listed(config)) if c["id"] in of]
    compared = {c: made(tmp_path / f"{c}-pair.json", r) for c, r in (results or {}).items()}
    shown = {name: table(config, name, values, tmp_path)} if name else {}
    said = {path.stem: published.read(path) for path in dag.published(config)}
    return {c["id"]: c for c in claims.judge(asked, shown, compared, votes, said)["claims"]}


def score(value, half=0.1, column="clipscore"):
    return {column: {"value": value, "n": 195, "interval": [value - half, value + half]}}


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ([0.1, 0.9], "direction reproduced"),
        ([-0.9, -0.1], "not reproduced"),
        ([-0.1, 0.9], "cannot be told apart"),
    ],
)
def test_a_direction_is_told_by_the_paired_interval(tmp_path, ends, verdict):
    middle = sum(ends) / 2
    values = {("sd3_f16_wlf", "alignment"): score(33 + middle, 2)}
    values |= {("sd3_f16_finetune", "alignment"): score(33, 2)}
    pair = {"wavelet_clipscore": {"clipscore": {"value": middle, "n": 195, "interval": ends}}}
    found = judged(tmp_path, "table_7", values, of=["wavelet_clipscore"], results=pair)
    said = found["wavelet_clipscore"]
    assert said["verdict"] == verdict
    assert "paired by prompt" in said["detail"] and f"{ends[0]:+.2f}" in said["detail"]
    assert said["published"] == "34.40 against 34.14"
    assert (said["where"], said["target"]) == ("Table 7, CLIPScore", "table_7")


def test_a_lower_ratio_is_the_papers_direction_and_without_pairs_both_errors_count(tmp_path):
    name = "wlf_sd3_4096_cr"
    for value, verdict in ((11.0, "direction reproduced"), (12.1, "cannot be told apart")):
        values = {
            ("sd3_f16_wlf", "texture"): score(value, 0.1, "cr"),
            ("sd3_f16", "texture"): score(12.0, 0.1, "cr"),
        }
        found = judged(tmp_path, "table_8", values, of=[name])
        assert found[name]["verdict"] == verdict


def test_fid_has_no_interval_and_is_told_by_the_tables_tolerance(tmp_path):
    name = "wlf_sd3_2048_fid"
    for value, verdict in ((40.0, "direction reproduced"), (43.5, "cannot be told apart")):
        values = {
            ("sd3_f16_wlf", "fid"): {"fid": {"value": value, "n": 2781}},
            ("sd3_f16", "fid"): {"fid": {"value": 44.0, "n": 2781}},
        }
        said = judged(tmp_path, "table_3", values, of=[name])[name]
        assert said["verdict"] == verdict and "(tolerance)" in said["detail"]


def test_what_was_not_run_or_cannot_be_is_said_with_its_reason(tmp_path):
    names = ["captions_sd3_clipscore", "wlf_sd3_4096_cr", "glcm_srcc"]
    values = {("sd3_f16", "alignment"): score(33)}
    captions = judged(tmp_path, "table_6", values, of=names[:1])[names[0]]
    assert (captions["verdict"], captions["detail"]) == (
        "cannot be run",
        "the captions were never released: give captions.laion.path",
    )
    assert captions["ours"] == "33.00 against –"
    assert judged(tmp_path, "table_8", {}, of=names[1:2])[names[1]]["verdict"] == "not run"
    rated = judged(tmp_path, "table_1", {}, of=names[2:])[names[2]]
    assert rated["verdict"] == "cannot be run" and "never released" in rated["detail"]
    fewer = {"tables": {"table_8": {"rows": ["sd3_f16"], "against": {}}}}
    lacking = judged(tmp_path, "table_8", {}, of=names[1:2], **fewer)[names[1]]
    assert "no row of this configuration: SD3-F16-WLF@4096" in lacking["detail"]
    assert lacking["published"] == "10.50 against 11.97"
    narrow = {"tables": {"table_8": {"columns": ["glcm"]}}}
    lacking = judged(tmp_path, "table_8", {}, of=names[1:2], **narrow)[names[1]]
    assert (lacking["verdict"], lacking["detail"]) == (
        "not run",
        "no column of this configuration: Compression Ratio",
    )


def test_miniature_numbers_judge_no_claim(tmp_path):
    spec = json.loads(paper.spec(resolved(), "table_8", []))
    values = {
        (row, "texture"): made(tmp_path / f"{row}.json", score(9 + i, 0.1, "cr"), notes=[NOTE])
        for i, row in enumerate(("sd3_f16", "sd3_f16_wlf"))
    }
    shown = tables.assemble(spec, published.read(PUBLISHED / "table_8.csv"), values)
    asked = [{"id": "a", "text": "…", "table": "table_8", "column": "cr", "metric": "cr"}]
    asked[0] |= {"better": "sd3_f16_wlf", "than": "sd3_f16"}
    (said,) = claims.judge(asked, {"table_8": shown}, {})["claims"]
    assert said["verdict"] == "not judged" and said["ours"] == "10.00 against 9.00"


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.75, 0.53, 0.36, 0.20], "direction reproduced"),
        ([0.55, 0.53, 0.36, 0.20], "cannot be told apart"),
        ([0.53, 0.55, 0.36, 0.20], "cannot be told apart"),
        ([0.36, 0.75, 0.36, 0.20], "not reproduced"),
    ],
)
def test_the_best_must_be_better_than_every_other_row(tmp_path, values, verdict):
    config = resolved()
    spec = json.loads(paper.spec(config, "table_1", []))
    rows = [row | {"reason": None} for row in spec["rows"]]
    shown = tables.assemble(
        spec | {"rows": rows},
        published.read(PUBLISHED / "table_1.csv"),
        {
            (row["key"], "correlation"): made(
                tmp_path / f"{row['key']}.json", score(value, 0.06, "srcc")
            )
            for row, value in zip(rows, values, strict=True)
        },
    )
    asked = [{"id": "a", "text": "…", "table": "table_1", "column": "srcc", "best": "glcm"}]
    (said,) = claims.judge(asked, {"table_1": shown}, {})["claims"]
    assert said["verdict"] == verdict


OOM = {"failed": "out of GPU memory"}


@pytest.mark.parametrize(
    ("f8", "f16", "verdict"),
    [
        (OOM, {"memory_gb": 31.0, "seconds_per_step": 1}, "reproduced"),
        # on a larger GPU: more than the paper's has
        ({"memory_gb": 110.0}, {"memory_gb": 31.0}, "reproduced"),
        ({"memory_gb": 60.0}, {"memory_gb": 31.0}, "not reproduced"),
        (OOM, OOM, "cannot be run"),
        ({}, {}, "not run"),
    ],
)
def test_what_a_gpu_has_no_memory_for(tmp_path, f8, f16, verdict):
    values = {("sd3_f8", "efficiency"): f8, ("sd3_f16", "efficiency"): f16}
    said = judged(tmp_path, "table_5", values, of=["f16_sd3"])["f16_sd3"]
    assert said["verdict"] == verdict
    assert said["published"] == "SD3-F8 OOM, SD3-F16 31.3 GB"


def votes(rate, interval, by="people", sides=("flux_f16_wlf", "flux_f16")):
    entry = {"question": "fine_details", "rate": rate, "interval": interval, "n": 120, "by": by}
    return entry | dict(zip(("better", "than"), sides, strict=True))


def test_people_and_a_judge_have_claims_of_their_own_and_half_is_no_preference(tmp_path):
    def verdict(*rates, notes=(), of="preferred_fine_details"):
        given = made(tmp_path / "votes.json", {"win_rates": list(rates)}, notes) if rates else None
        return judged(tmp_path, None, {}, of=[of], votes=given)[of]

    assert verdict()["verdict"] == "cannot be run" and verdict()["detail"] == "votes needed"
    assert verdict(votes(0.62, [0.53, 0.71]))["verdict"] == "direction reproduced"
    assert verdict(votes(0.55, [0.46, 0.64]))["verdict"] == "cannot be told apart"
    assert verdict(votes(0.30, [0.2, 0.4]))["verdict"] == "not reproduced"
    # the pair the other way round, and a judge's verdict beside people's
    swapped = votes(0.30, [0.2, 0.4], sides=("flux_f16", "flux_f16_wlf"))
    of_judge = votes(0.9, [0.8, 1], by="judge:m")
    found = verdict(of_judge, swapped)
    assert (found["verdict"], found["ours"]) == ("direction reproduced", "70%")
    assert "by people" in found["detail"]
    # a model that judges says nothing of people, nor they of it
    assert verdict(of_judge)["verdict"] == "cannot be run"
    found = verdict(of_judge, swapped, of="judged_fine_details")
    assert found["ours"] == "90%" and "by judge:m" in found["detail"]
    needed = verdict(swapped, of="judged_fine_details")
    assert needed["verdict"] == "cannot be run" and "a model that judges" in needed["detail"]
    other = votes(0.9, [0.8, 1], sides=("sd3_f16_wlf", "sd3_f16"))
    assert verdict(other)["verdict"] == "not run"
    made_up = verdict(votes(0.62, [0.53, 0.71]), notes=[NOTE])
    assert made_up["verdict"] == "not judged"
    assert "assumed pair" in found["text"] and "assumed pair" in made_up["text"]


def test_a_claim_whose_table_is_not_made_has_its_words_and_the_papers_numbers(tmp_path):
    """Not a column's key, nor nothing where the paper printed numbers."""
    found = judged(tmp_path, None, {}, of=["f16_sd3", "wlf_sd3_4096_cr", "glcm_srcc"])
    said = {name: (claim["where"], claim["published"]) for name, claim in found.items()}
    assert said == {
        "f16_sd3": ("Table 5, memory (GB)", "SD3-F8 OOM, SD3-F16 31.3 GB"),
        "wlf_sd3_4096_cr": ("Table 8, Compression Ratio", "10.50 against 11.97"),
        "glcm_srcc": ("Table 1, SRCC", "0.75 against 0.53"),
    }
    assert {claim["verdict"] for claim in found.values()} == {"not run"}
    # of the released weights the paper's own numbers
    config = {"claims": {"wlf_flux_2048_fid": {"better": "flux_wavelet"}}}
    found = judged(tmp_path, None, {}, of=["wlf_flux_2048_fid"], **config)
    assert found["wlf_flux_2048_fid"]["published"] == "39.49 against 50.57"


def test_a_miss_by_settings_that_are_not_the_papers_says_so(tmp_path):
    spec = json.loads(paper.spec(resolved(), "table_8", ["Not as in the paper: train: …"]))
    asked = [{"id": "a", "text": "…", "table": "table_8", "column": "cr", "metric": "cr"}]
    asked[0] |= {"better": "sd3_f16_wlf", "than": "sd3_f16"}
    for value, suffix in ((12.0, True), (13.5, True), (10.5, False)):
        values = {
            (row, "texture"): made(tmp_path / f"{row}.json", score(number, 0.1, "cr"))
            for row, number in (("sd3_f16", 12.0), ("sd3_f16_wlf", value))
        }
        shown = tables.assemble(spec, published.read(PUBLISHED / "table_8.csv"), values)
        (said,) = claims.judge(asked, {"table_8": shown}, {})["claims"]
        assert ("settings are not the paper's" in said["detail"]) == suffix, value


def test_the_script_writes_both_forms_and_a_manifest(tmp_path):
    def run(module, words):
        module.run(module.parser().parse_args(shlex.split(words)))

    config = resolved()
    shown = tmp_path / "tables" / "table_5.json"
    value = made(tmp_path / "a.json", {"memory_gb": 31.0, "seconds_per_step": 1.1}, notes=["said"])
    spec = shlex.quote(paper.spec(config, "table_5", []))
    said = f"--published {PUBLISHED}/table_5.csv --values sd3_f16:efficiency={value.path}"
    run(table_script, f"--name table_5 --spec {spec} {said} --output {shown}")
    asked = [{"id": "f16_sd3"} | config["claims"]["f16_sd3"]]
    words = f"--claims {shlex.quote(json.dumps(asked))} --output {tmp_path}/claims.json"
    run(script, f"{words} --tables {shown}")
    found = manifest.read(tmp_path / "claims.json")
    assert manifest.verify(found) == [] and found.notes == ["said"]
    assert found.results["counts"] == {"not run": 1}
    (claim,) = found.results["claims"]
    assert set(claim) == {
        *("id", "text", "target", "where", "verdict", "detail", "ours", "published"),
    }
    text = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert "1 not run." in text and "| not run | SD3 makes 4096 px" in text
    # a configuration whose targets leave the table out
    run(script, words)
    (claim,) = manifest.read(tmp_path / "claims.json").results["claims"]
    assert (claim["verdict"], claim["detail"]) == (
        "not run",
        "its table is no target of this configuration",
    )
    with pytest.raises(UserError, match="write CLAIM=MANIFEST"):
        run(script, f"{words} --comparisons here.json")
