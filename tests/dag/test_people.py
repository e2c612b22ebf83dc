"""What asking people plans: pictures alone, and a kit where there are answers to it."""

import os

import pytest

import simulated
from configs import resolve
from diffusion4k.dag import draw, people
from diffusion4k.errors import UserError


def test_votes_plan_the_kit_that_they_are_of_and_no_metric(workflow):
    flags = ("--configfile", "config/miniature.yaml", "mine.yaml")
    mine, answers = workflow.folder / "mine.yaml", workflow.folder / "answers"
    answers.mkdir()
    mine.write_text("{}", encoding="utf-8")
    assert set(workflow.plan("figure_6", *flags)) == {"figure", "figure_6"}
    plan = workflow.plan("rating_kit", *flags)
    assert plan["kit"] == 2 and plan["draw"] == 4 and not {"generate", "features"} & set(plan)
    mine.write_text("votes: answers/*\n", encoding="utf-8")
    header = "rater,kind,prompt_id,first,second,question,choice\n"
    (answers / "own.csv").write_text(header, encoding="utf-8")
    plan = workflow.plan("figure_6", *flags)
    assert plan["votes"] == 1 and not {"kit", "draw"} & set(plan)
    (answers / "ann.json").write_text("{}", encoding="utf-8")
    plan = workflow.plan("figure_6", *flags)
    assert plan["votes"] == plan["kit"] == 1 and plan["draw"] == 4
    command = workflow.command("results/miniature/people/votes.json", *flags)
    assert "--answers answers/ann.json answers/own.csv" in command and "--kit" in command


@pytest.mark.parametrize("name", ["votes", "ratings"])
def test_a_corrected_file_is_counted_though_it_is_older(workflow, name):
    flags = ("--configfile", "config/miniature.yaml", "mine.yaml")
    (workflow.folder / "mine.yaml").write_text(
        "votes: mine.csv\nratings: { path: mine.csv, evaluation: eval_2048, models: [sd3_f16] }\n",
        encoding="utf-8",
    )
    file, target = workflow.folder / "mine.csv", f"results/miniature/people/{name}.json"
    file.write_text("model,id,rating\nsd3_f16,a,1\n", encoding="utf-8")
    os.utime(file, (1000, 1000))
    simulated.finish(workflow, *flags, target=target)
    assert workflow.plan(target, *flags) == {}
    file.write_text("model,id,rating\nsd3_f16,a,2\n", encoding="utf-8")
    os.utime(file, (900, 900))
    assert workflow.plan(target, *flags)[name] == 1


def test_a_kit_draws_what_it_shows_and_no_benchmark(checkout):
    flags = ("--config", "run=unmade")
    plan = checkout.plan("rating_kit", *flags)
    assert plan["draw"] == 4 and "generate" not in plan
    command = checkout.command("results/unmade/pictures/people-sd3_f16/shard-0-of-1.json", *flags)
    assert "--count 20 --spread --sizes 2048x2048" in command and "--seeds 0" in command
    kit = checkout.command("results/unmade/people/kit-pairs.json", *flags)
    assert "--images sd3_f16_wlf=results/unmade/pictures/people-sd3_f16_wlf/shard-0" in kit


def test_many_prompts_are_drawn_by_as_many_jobs_as_the_benchmarks():
    config = resolve(people={"prompts": 500})
    assert len(draw.drawn(config, "people-sd3_f16")) == 3  # 2,781 in 14 jobs
    assert draw.count(config, "people-sd3_f16") == 500


@pytest.fixture
def of_laion(tmp_path):
    """What resolves a run whose kits show a pair of models and rate the first."""
    (tmp_path / "l.jsonl").write_text("", encoding="utf-8")

    def resolved(*pair: str):
        return resolve(
            captions={"laion": {"path": str(tmp_path / "l.jsonl")}},
            models={"mine": {"backbone": "sd3", "captions": "laion"}},
            people={"pairs": [[*pair]], "rated": [pair[0], "sd3_f16"]},
            figures={"figure_6": {"rows": [pair[0]]}},
        )

    return resolved


def test_a_model_with_captions_of_its_own_is_drawn_of_them(of_laion):
    config = of_laion("mine", "sd3_f16_laion")
    own = "results/paper/captions/laion/eval_2048.json"
    assert own in draw.inputs(config, "people-sd3_f16_laion")
    assert draw.own_prompts(config, "people-sd3_f16_laion", "sd3_f16_laion") == own
    assert own not in draw.inputs(config, "people-sd3_f16")


def test_targets_of_people_name_all_that_they_rest_on(workflow):
    (workflow.folder / "ann.json").write_text("{}", encoding="utf-8")
    (workflow.folder / "mine.yaml").write_text(
        "votes: ann.json\nratings: { path: ann.json, evaluation: eval_2048, models: [sd3_f16] }\n",
        encoding="utf-8",
    )
    flags = ("--configfile", "config/miniature.yaml", "mine.yaml")
    named, made = workflow.lineage("figure_6", *flags)
    assert named == made
    run = "results/miniature"
    for name in ("people/votes", "people/kit-pairs", "train/flux_f16_wlf/pipeline"):
        assert f"{run}/{name}.json" in named
    assert f"{run}/pictures/people-sd3_f16_wlf/shard-0-of-1.json" in named
    named, made = workflow.lineage("table_1", *flags)
    assert named == made
    assert {f"{run}/people/kit-ratings.json", f"{run}/people/ratings.csv"} <= named


def test_raters_and_judge_read_the_text_that_pictures_are_drawn_from(of_laion):
    config, own = of_laion("mine", "sd3_f16_laion"), "results/paper/captions/laion/eval_2048.json"
    assert people.captions(config, "pairs") == [("mine", own), ("sd3_f16_laion", own)]
    assert people.captions(config, "ratings") == [("mine", own)]
    assert people.captions(resolve(), "pairs") == []
    with pytest.raises(UserError, match=r"people.pairs: mine and sd3_f16: drawn from other texts"):
        of_laion("mine", "sd3_f16")


def test_jobs_of_people_are_given_the_captions_of_models(workflow):
    (workflow.folder / "l.jsonl").write_text("", encoding="utf-8")
    (workflow.folder / "shots").mkdir()
    (workflow.folder / "mine.yaml").write_text(
        "captions: { laion: { path: l.jsonl } }\n"
        "models: { mine: { images: shots, captions: laion, tables: [] } }\n"
        "people: { pairs: [[sd3_f16_laion, mine]], rated: [sd3_f16] }\n"
        "figures: { figure_6: { rows: [sd3_f16_laion] } }\n"
        "endpoints: { e: { base_url: http://x, model: m, price: { input: 0, output: 0 } } }\n"
        "judge: { endpoint: e, max_cost: 1 }\n",
        encoding="utf-8",
    )
    flags, run = ("--configfile", "config/miniature.yaml", "mine.yaml"), "results/miniature"
    own = f"{run}/captions/laion/eval_2048.json"
    for name in ("kit-pairs", "judge"):
        command = workflow.command(f"{run}/people/{name}.json", *flags)
        assert f"--captions sd3_f16_laion={own} mine={own}" in command
    assert "--captions" not in workflow.command(f"{run}/people/kit-ratings.json", *flags)
    pictures = f"{run}/generate/mine/eval_2048/shard-0-of-1.json"
    assert f"--dataset {own}" in workflow.command(pictures, *flags)
