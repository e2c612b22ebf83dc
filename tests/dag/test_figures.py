"""What each figure's target plans: its own pictures, and nothing that only others need."""

import json
import re
import shlex

import pytest

import draw
from configs import resolve
from diffusion4k.dag import figures

TRAINS = {"latents", "train", "train_kept", "export"}
UNMADE = ("--config", "run=unmade")


@pytest.mark.parametrize(
    ("target", "planned", "unplanned"),
    [
        ("figure_2", {"figure"}, TRAINS | {"draw", "generate", "check_data"}),
        ("figure_3", {"figure"}, TRAINS | {"draw", "generate", "check_data"}),
        ("figure_4", {"rebuild"}, TRAINS | {"reconstruct", "draw", "generate"}),
        ("figure_7", {"draw"}, TRAINS - {"export"} | {"generate"}),
        ("figure_8", {"draw"}, TRAINS | {"generate"}),
        ("figure_9", {"draw", "train_kept"}, {"generate", "texture", "features", "table"}),
        ("figure_13", {"check_data"}, TRAINS | {"generate", "draw"}),
    ],
)
def test_a_figure_plans_only_what_it_shows(checkout, target, planned, unplanned):
    plan = checkout.plan(target, *UNMADE)
    assert planned <= set(plan)
    assert not unplanned & set(plan)


def drawing(checkout, figure, *more):
    """The parsed command line of the job that draws a figure's pictures."""
    output = f"results/unmade/pictures/{figure}/shard-0-of-1.json"
    words = shlex.split(checkout.command(output, *more, *UNMADE).partition(" > ")[0])
    return draw.parser().parse_args(words[words.index("scripts/draw.py") + 1 :])


def test_figure_10_draws_eight_pictures_a_row_and_no_benchmark(checkout):
    plan = checkout.plan("figure_10", *UNMADE)
    assert plan["draw"] == 1 and "generate" not in plan
    args = drawing(checkout, "figure_10")
    assert [*args.rows] == ["sd3_f16", "sd3_f16_wlf", "flux_f16", "flux_f16_wlf"]
    assert args.count == 8 and args.sizes == [(2048, 2048)] and args.seeds == [0]
    assert args.rows["sd3_f16"]["model"] == "results/unmade/sources/sd3.json"
    assert args.rows["flux_f16_wlf"]["guidance"] == 7.0


def test_a_figures_pictures_are_sampled_as_the_benchmarks(checkout):
    configs = ("--configfile", "config/config.yaml", "config/baselines.yaml")
    args = drawing(checkout, "figure_8", *configs)
    command = checkout.command(
        "results/unmade/generate/sana_4k/eval_4096/shard-0-of-5.json", *configs, *UNMADE
    )
    assert re.search("--steps 20 --guidance 5.0", command) and "--vae-tiling" in command
    own = args.rows["sana_4k"]
    assert (own["steps"], own["guidance"], own["vae_tiling"]) == (20, 5.0, True)
    assert json.loads(re.search("--of-class '(.*?)'", command)[1]) == args.of_class
    for flag in ("dtype bfloat16", "seed-policy published", "encoder stride", "attention native"):
        name, value = flag.split()
        assert f"--{flag}" in command and getattr(args, name.replace("-", "_")) == value


@pytest.mark.parametrize(
    "output",
    [
        "generate/sd3_f16/eval_4096/shard-0-of-5.json",
        "efficiency/sd3_f16/eval_4096.json",
        "pictures/figure_8/shard-0-of-1.json",
    ],
)
def test_another_kernel_than_torchs_is_a_source_that_is_handed_on(checkout, output):
    output, kernel = f"results/unmade/{output}", "results/unmade/sources/flash_attention_3.json"
    command = ("-n", "-p", output, "--config", "run=unmade")
    assert kernel not in checkout.run(*command).stdout
    said = checkout.run(*command, "generate={attention: auto}").stdout
    assert "rule fetch_source:" in said and f"output: {kernel}" in said
    assert f"--kernel {kernel}" in said


def test_a_sweep_is_drawn_by_several_jobs(workflow):
    (workflow.folder / "mine.yaml").write_text(
        "prompts: {mine: {texts: ['a $5 fox', '{x} \"y\"'], label: mine}}\n"
        "figures: {figure_mine: {kind: gallery, title: T, rows: [flux_f16], prompts: mine,"
        " sizes: [[4096, 3072], [3072, 4096]], guidance: [5, 5.5], seeds: [0, 1], shards: 4}}\n",
        encoding="utf-8",
    )
    plan = workflow.plan("figure_mine", "--configfile", "mine.yaml", *UNMADE)
    assert (plan["draw"], plan["prompts"], plan["figure"]) == (4, 1, 1)
    assert not TRAINS & set(plan)


def test_prompts_that_are_touched_draw_nothing_anew_and_a_changed_one_does(workflow):
    flags = ("--configfile", "mine.yaml", *UNMADE)
    (workflow.folder / "mine.yaml").write_text("prompts: {mine: {file: mine.txt, label: mine}}\n")
    path = workflow.folder / "mine.txt"
    path.write_text("a fox\n", encoding="utf-8")
    target = "results/unmade/prompts/mine.json"
    workflow.run(target, *flags)
    path.write_text("a fox\n\n", encoding="utf-8")
    assert workflow.plan(target, *flags) == {}
    path.write_text("a fox\na heron\n", encoding="utf-8")
    assert workflow.plan(target, *flags) == {"prompts": 1}


def test_a_kinds_code_draws_its_own_figures_anew():
    of = {name: figures.digest(resolve(), name) for name in resolve()["figures"]}
    assert of["figure_9"] == of["figure_10"] != of["figure_13"]
