"""The claims in the configuration: what one must say, the paper's own, what they ask for."""

import json

import pytest

from configs import fault
from configs import resolve as resolved
from diffusion4k.dag import claims as dag
from diffusion4k.dag import paper
from diffusion4k.paper import published
from tiny_tables import PUBLISHED


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        ({"table": "table_3"}, "besides text, a claim has one of: table, column, better, than;"),
        ({"table": "table_33", "column": "fid", "best": "sd3_f16"}, "no tables entry 'table_33'"),
        ({"table": "table_3", "column": "fdi", "best": "sd3_f16"}, "no column 'fdi' in any table"),
        ({"table": "table_3", "column": "fid", "best": "sd4"}, "no row 'sd4' in any table"),
        ({"figure": "figure_6", "question": "taste", "better": "a", "than": "b"}, "question"),
    ],
)
def test_a_claim_that_is_none_is_one_line(claim, says):
    text = fault(claims={"mine": {"text": "…"} | claim})
    assert text.startswith("config: claims.mine") and says in text and "\n" not in text


def test_the_papers_claims_are_its_published_numbers():
    """Whatever a claim says is better, the paper's numbers say so too."""
    config, checked = resolved(), 0
    for claim in config["claims"].values():
        if "column" not in claim:
            continue
        said = published.read(PUBLISHED / f"{claim['table']}.csv")
        columns = json.loads(paper.spec(config, claim["table"], []))["columns"]
        lower = {c["key"]: c["direction"] == "lower" for c in columns}[claim["column"]]
        rows = [claim["than"]] if "than" in claim else {row for row, _ in said} - {claim["best"]}
        best = said[claim.get("better") or claim["best"], claim["column"]].value
        for row in rows:
            other = said[row, claim["column"]].value
            assert best < other if lower else best > other, claim["text"]
            checked += 1
    assert checked > 25


def test_claims_ask_for_the_comparisons_that_the_tables_lack():
    paths = dict(dag.comparisons(resolved()))
    assert paths["wavelet_glcm"].endswith(
        "sd3_f16_wlf/eval_4096/texture-against-sd3_f16_finetune.json"
    )
    assert "wlf_sd3_2048_fid" not in paths and "captions_sd3_clipscore" not in paths
    assert dag.votes(resolved()) is None
