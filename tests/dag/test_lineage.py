"""A failed or missing intermediate is never forgotten: targets name all that they rest on."""

import pytest

UNMADE = ("--config", "run=unmade")
OVERLAYS = [(), ("miniature.yaml",), ("baselines.yaml",), ("v2.yaml",)]
OVERLAYS += [("miniature.yaml", "miniature-sc.yaml")]


@pytest.mark.parametrize("names", OVERLAYS, ids="-".join)
def test_all_names_every_file_that_its_jobs_make(checkout, names):
    configs = ["--configfile", *(f"config/{name}" for name in names)] if names else []
    named, made = checkout.lineage("all", *configs, *UNMADE)
    assert named == made
    assert any("/tables/" in path for path in named)
    assert any("/vae/flux_vae_sc/train/step-" in path for path in named) == (
        "v2.yaml" in names or "miniature-sc.yaml" in names
    )


@pytest.mark.parametrize(
    "target",
    [
        "table_2", "table_5", "table_9", "table_10", "figure_4", "claims", "tables", "figures",
        "rating_kit",
        "results/unmade/tables/table_3.html",
        "results/unmade/figures/figure_9.png",
        "results/unmade/report.html",
        "results/unmade/claims.md",
        "results/unmade/metrics/sd3_f16_wlf/eval_4096/texture.json",
        "results/unmade/metrics/sd3_f16_wlf/eval_4096/features-3-of-10.json",
        "results/unmade/generate/sd3_f16_wlf/eval_4096/shard-0-of-10.json",
        "results/unmade/train/sd3_f16_wlf/step-020000.json",
        "results/unmade/vae/flux/reconstruction.json",
    ],
)  # fmt: skip
def test_whatever_is_asked_for_names_its_own_alone(checkout, target):
    named, made = checkout.lineage(target, *UNMADE)
    assert named == made


@pytest.mark.parametrize(
    "words", ["--forcerun FILE -- FILE", "-- judge_claims", "-R texture -- html"]
)
def test_what_cannot_name_all_that_it_rests_on_is_refused_while_that_is_missing(checkout, words):
    """A file that is to be forced and is the target; a rule that makes a file."""
    words = words.replace("FILE", "results/unmade/tables/table_8.json")
    done = checkout.run("-n", *UNMADE, *words.split(), check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert ": missing, " in said and "snakemake … -- results/" in said


def test_a_file_of_an_option_is_no_target(checkout):
    file = "results/unmade/tables/table_8.json"
    for words in (["--until", file, "--", "table_9"], ["--forcerun", file, "--", "table_9"]):
        assert f"rule {file}:" not in checkout.run("-n", *UNMADE, *words).stdout
