"""A failed or missing intermediate is never forgotten: targets name all that they rest on."""

import pytest

UNMADE = ("--config", "run=unmade")
FILE = "results/unmade/tables/table_8.json"
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
        "results/unmade/metrics/sd3_f16_wlf/eval_4096/features-3-of-5.json",
        "results/unmade/generate/sd3_f16_wlf/eval_4096/shard-0-of-5.json",
        "results/unmade/train/sd3_f16_wlf/step-020000.json",
        "results/unmade/vae/flux/reconstruction.json",
    ],
)  # fmt: skip
def test_whatever_is_asked_for_names_its_own_alone(checkout, target):
    named, made = checkout.lineage(target, *UNMADE)
    assert named == made


@pytest.mark.parametrize("spelling", ["./FILE", "results//unmade/tables/table_8.json", "HERE/FILE"])
def test_a_file_is_the_same_target_however_it_is_spelt(checkout, spelling):
    spelling = spelling.replace("FILE", FILE).replace("HERE", str(checkout.folder))
    assert checkout.lineage(spelling, *UNMADE) == checkout.lineage(FILE, *UNMADE)


@pytest.mark.parametrize(
    "words", ["--forcerun FILE -- FILE", "-f FILE", "-- judge_claims", "-- gallery", "-- html"]
)
def test_of_a_run_that_is_not_begun_everything_may_be_asked_for(checkout, words):
    assert checkout.plan(*UNMADE, *words.replace("FILE", FILE).split())["fetch_source"] > 1


@pytest.mark.parametrize("words", ["-f HERE/FILE", "-R HERE/FILE -- table_9"])
def test_a_path_that_snakemake_would_not_force_is_refused(checkout, words):
    words = words.replace("FILE", FILE).replace("HERE", str(checkout.folder))
    done = checkout.run("-n", *UNMADE, *words.split(), check=False)
    assert done.returncode != 0
    assert f"would not force it; write {FILE}" in done.stdout + done.stderr


def test_a_file_of_an_option_is_no_target(checkout):
    for words in (["--until", FILE, "--", "table_9"], ["-nR", FILE, "--", "table_9"]):
        assert f"rule {FILE}:" not in checkout.run("-n", *UNMADE, *words).stdout
