"""What asking people plans: pictures alone, and a kit where there are answers to it."""


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
    assert f"{run}/generate/sd3_f16_wlf/eval_2048/shard-0-of-1.json" in named
    named, made = workflow.lineage("table_1", *flags)
    assert named == made
    assert {f"{run}/people/kit-ratings.json", f"{run}/people/ratings.csv"} <= named
