"""What asking people plans: pictures alone, and a kit where there are answers to it."""

from configs import load
from diffusion4k.config import resolve as configuration
from diffusion4k.dag import lineage


def test_votes_plan_the_kit_that_they_are_of_and_no_metric(workflow):
    flags = ("--configfile", "config/miniature.yaml", "mine.yaml")
    mine, answers = workflow.folder / "mine.yaml", workflow.folder / "answers"
    answers.mkdir()
    mine.write_text("{}", encoding="utf-8")
    assert set(workflow.plan("figure_6", *flags)) == {"figure", "figure_6"}
    plan = workflow.plan("rating_kit", *flags)
    assert plan["kit"] == 2 and plan["generate"] == 4 and "features" not in plan
    mine.write_text("votes: answers/*\n", encoding="utf-8")
    header = "rater,kind,prompt_id,first,second,question,choice\n"
    (answers / "own.csv").write_text(header, encoding="utf-8")
    plan = workflow.plan("figure_6", *flags)
    assert plan["votes"] == 1 and not {"kit", "generate"} & set(plan)
    (answers / "ann.json").write_text("{}", encoding="utf-8")
    plan = workflow.plan("figure_6", *flags)
    assert plan["votes"] == plan["kit"] == 1 and plan["generate"] == 4
    command = workflow.command("results/miniature/people/votes.json", *flags)
    assert "--answers answers/ann.json answers/own.csv" in command and "--kit" in command


def test_targets_of_people_name_all_that_they_rest_on(tmp_path):
    (tmp_path / "ann.json").write_text("{}", encoding="utf-8")
    rated = {"path": str(tmp_path / "ann.json"), "evaluation": "eval_2048", "models": ["sd3_f16"]}
    config = configuration.resolve(
        load("config.yaml", "miniature.yaml")
        | {"votes": str(tmp_path / "*.json"), "ratings": rated}
    )
    run = "results/miniature"
    named = lineage.of_figures(config, ["figure_6"])
    for name in ("people/votes", "people/kit-pairs", "train/flux_f16_wlf/pipeline"):
        assert f"{run}/{name}.json" in named
    assert f"{run}/generate/sd3_f16_wlf/eval_2048/shard-0-of-1.json" in named
    assert f"{run}/people/kit-ratings.json" in lineage.of_tables(config, ["table_1"])
    assert f"{run}/people/ratings.csv" in lineage.of_tables(config, ["table_1"])
