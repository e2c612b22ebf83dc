"""On the real DAG: what failed or is missing is made again, whatever is asked for."""

import pytest

from conftest import Workflow
from diffusion4k.dag.paths import record

TRAINS = {"latents", "train", "train_kept", "export"}
MINIATURE = ("--configfile", "config/miniature.yaml")
EVALUATION = "sd3_f16_wlf/eval_4096"
IMAGES = f"generate/{EVALUATION}/shard-0-of-1.json"
SCORED = f"metrics/{EVALUATION}/texture.json"


@pytest.fixture(scope="module")
def made(simulated_miniature) -> Workflow:
    return simulated_miniature


@pytest.mark.parametrize(
    ("missing", "rule"),
    [
        ("sources/sd3.json", "make_source"),
        ("data/train.json", "check_data"),
        ("latents/sd3/shard-0-of-1.json", "latents"),
        ("train/sd3_f16_wlf/step-000900.json", "train_kept"),
        ("train/sd3_f16_wlf/pipeline.json", "export"),
        (IMAGES, "generate"),
        (f"metrics/{EVALUATION}/texture-0-of-1.json", "texture"),
        (f"metrics/{EVALUATION}/features-0-of-1.json", "features"),
        (f"metrics/{EVALUATION}/distance-0-of-1.json", "distance"),
        ("metrics/reference/eval_4096/features-0-of-1.json", "reference_features"),
        (f"metrics/{EVALUATION}/fid.json", "aggregate"),
        (f"metrics/{EVALUATION}/texture-against-sd3_f16.json", "compare"),
        ("vae/sd3/reconstruction-0-of-1.json", "reconstruct"),
        ("vae/sd3/reconstruction.json", "aggregate_reconstruction"),
        ("efficiency/sd3_f16/eval_4096.json", "efficiency"),
        ("tables/table_8.json", "table"),
        ("tables/table_8.md", "table"),
        ("figures/figure_9.pdf", "figure"),
        ("pictures/figure_9/shard-0-of-1.json", "draw"),
        ("pictures/figure_4/rebuilt.json", "rebuild"),
        ("prompts/miniature.json", "prompts"),
    ],
)
def test_what_is_missing_is_made_again_whatever_stands_downstream(made, missing, rule):
    path = made.folder / "results/miniature" / missing
    path.rename(path.with_suffix(".away"))
    plan = made.plan("all", *MINIATURE)
    path.with_suffix(".away").rename(path)
    assert plan[rule] == 1


@pytest.mark.parametrize(
    ("asked", "missing", "rule"),
    [
        ("tables/table_8.html", "sources/sd3.json", "make_source"),
        ("tables/table_8.tex", "tables/table_8.csv", "table"),
        (SCORED, IMAGES, "generate"),
        ("figures/figure_9.png", "pictures/figure_9/shard-0-of-1.json", "draw"),
        (f"metrics/{EVALUATION}/texture-0-of-1.json", "train/sd3_f16_wlf/pipeline.json", "export"),
        (IMAGES, "latents/sd3/shard-0-of-1.json", "latents"),
        ("vae/sd3/reconstruction.json", "sources/vgg16.json", "make_source"),
        ("report.html", f"metrics/{EVALUATION}/features-0-of-1.json", "features"),
        ("claims.md", "metrics/sd3_f16_wlf/eval_4096/texture-against-sd3_f16.json", "compare"),
    ],
)
def test_it_is_made_again_for_whatever_file_is_asked(made, asked, missing, rule):
    run = made.folder / "results/miniature"
    path = run / missing
    path.rename(path.with_suffix(".away"))
    plan = made.plan(f"results/miniature/{asked}", *MINIATURE)
    path.with_suffix(".away").rename(path)
    assert plan[rule] == 1
    assert made.plan(f"results/miniature/{asked}", *MINIATURE) == {}


FORCED = ["-R FILE -- FILE", "-fR FILE -- FILE", "--forcer=./FILE -- FILE", "-f FILE", "-f ./FILE"]


@pytest.mark.parametrize("words", FORCED)
def test_a_file_that_is_forced_is_made_again(made, words):
    words = words.replace("FILE", "results/miniature/tables/table_8.json").split()
    assert made.plan(*MINIATURE, *words) == {"table": 1}


def test_what_is_forced_is_touched_and_has_its_record_again(made):
    file = "results/miniature/tables/table_8.json"
    kept = made.folder / record(file)
    kept.unlink()
    made.run(*MINIATURE, "--touch", "-f", file)
    assert kept.is_file()


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        *[(words, ["sources/sd3.json"]) for words in FORCED],
        ("-- judge_claims", ["sources/sd3.json"]),
        # it would be made, and what it is made of is old
        ("-- judge_claims", ["claims.json", "sources/sd3.json"]),
        ("-- html", ["report/chains.json", "sources/sd3.json"]),
    ],
)
def test_what_cannot_name_all_that_it_rests_on_is_refused_while_that_is_missing(made, words, gone):
    """A file that is to be forced and is the target; a rule that makes a file."""
    words = words.replace("FILE", "results/miniature/tables/table_8.json").split()
    paths = [made.folder / "results/miniature" / name for name in gone]
    for path in paths:
        path.rename(path.with_suffix(".away"))
    done = made.run("-n", *MINIATURE, *words, check=False)
    for path in paths:
        path.with_suffix(".away").rename(path)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "sources/sd3.json: missing, " in said and "snakemake … -- results/" in said


@pytest.mark.parametrize(
    ("target", "script", "rule", "again"),
    [
        ("table_8", "texture", "texture", {"table"}),
        ("results/miniature/tables/table_8.html", "texture", "texture", {"table"}),
        (f"results/miniature/{SCORED}", "generate", "generate", {"texture"}),
        ("results/miniature/figures/figure_9.png", "draw", "draw", {"figure"}),
    ],
)
def test_a_job_that_failed_fails_again_and_once_mended_its_table_is_made(
    made, target, script, rule, again
):
    path = made.folder / f"scripts/{script}.py"
    files = [file for file in made.folder.glob("results/**/*") if file.is_file()]
    before = path.read_text(encoding="utf-8")
    path.write_text(before + "\nraise SystemExit('error: no such luck')\n", encoding="utf-8")
    # of generation, a script's own lines decide no byte: something else has it run
    forced = ["--forcerun", rule] if rule == "generate" else []
    for force in (forced, []):
        done = made.run(target, *MINIATURE, *force, check=False)
        assert done.returncode != 0
        assert f"Error in rule {rule}" in done.stdout + done.stderr
    path.write_text(before, encoding="utf-8")
    plan = made.plan(target, *MINIATURE)
    assert plan[rule] >= 1 and again <= set(plan)
    assert not TRAINS & set(plan)
    for gone in (file for file in files if not file.exists()):
        gone.parent.mkdir(parents=True, exist_ok=True)  # a folder may be an output too
        gone.write_text("{}", encoding="utf-8")
    made.run(target, "--touch", "--forceall", *MINIATURE)
