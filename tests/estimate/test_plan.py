"""What `plan` reckons: its jobs are Snakemake's, its hours those of the FLOP model."""

import re
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

import efficiency
from diffusion4k import backbones
from diffusion4k.config import resolve as config
from diffusion4k.estimate import cost, memory, plan, words

STEPS = efficiency.WARM + efficiency.parser().get_default("timed_steps")
ROOT = Path(__file__).resolve().parents[2]


def resolved(*names: str, **changes) -> dict:
    raw: dict = {}
    for name in ("config.yaml", *names):
        update_config(raw, yaml.safe_load((ROOT / "config" / name).read_text(encoding="utf-8")))
    update_config(raw, changes)
    return config.resolve(raw)


def jobs(works, *stages: str) -> int:
    return sum(work.jobs for work in works if work.key[0] in stages)


def test_it_counts_the_jobs_that_snakemake_plans(checkout):
    unmade = ("--config", "run=unmade")
    made, dry = plan.Plan(resolved()), checkout.plan("tables", "figures", *unmade)
    for stages, rules in (
        (("check",), ("check_data",)),
        (("latents",), ("latents",)),
        (("train",), ("train", "train_kept")),
        (("reconstruct",), ("reconstruct",)),
        (("generate",), ("generate",)),
        (("draw",), ("draw",)),
        (("rebuild",), ("rebuild",)),
        (("efficiency",), ("efficiency",)),
        (("texture",), ("texture",)),
        (("features",), ("features", "reference_features")),
        (("distance",), ("distance",)),
        (("quality",), ("quality",)),
    ):
        assert jobs(made.everything, *stages) == sum(dry.get(rule, 0) for rule in rules), stages
    assert len(made.sources(made.everything)) == dry["fetch_source"]


def test_hours_are_those_of_the_flop_model():
    made = plan.Plan(resolved())
    works = {work.key: work for work in made.everything}
    train = works["train", "flux_f16_wlf"]
    # 20,000 steps of 32 images, 402.3 TFLOP forward, backward and recomputed: facts of Table 10
    assert train.flops == pytest.approx(20000 * 32 * 4 * 402.3e12, rel=1e-3)
    assert made.gpu_hours([train]) == pytest.approx(train.flops / 170e12 / 3600)
    assert made.wall_hours([train]) == pytest.approx(made.gpu_hours([train]) / 8)
    generate = works["generate", "sd3_f16", "eval_4096"]
    # 50 steps, twice for guidance, and the decoder
    assert generate.flops == pytest.approx(195 * (50 * 2 * 62.8e12 + 48.6e12), rel=1e-3)
    timed = works["efficiency", "flux_f16", "eval_4096"]
    assert timed.flops == pytest.approx(STEPS * 418.1e12 + 48.6e12, rel=1e-3)
    assert works["efficiency", "flux_f8", "eval_4096"].flops > 4 * timed.flops
    chain = made.wall_hours(made.tables["table_7"])
    parts = [works["latents", "sd3"], works["train", "sd3_f16_wlf"]]
    parts += [works["generate", "sd3_f16_wlf", "eval_4096"]]
    assert chain == pytest.approx(sum(made.wall_hours([part]) for part in parts))


def test_pictures_by_an_f8_vae_have_four_times_the_tokens():
    keys = [(stage, "sd3_f16", "eval_4096") for stage in ("generate", "efficiency")]
    made, changed = resolved(), resolved()
    changed["models"]["sd3_f16"]["vae_factor"] = 8
    for key in keys:
        assert cost.of(changed, key).flops > 4 * cost.of(made, key).flops
        assert memory.of(changed, key) > 1.2 * memory.of(made, key)


def test_what_a_timed_picture_waits_for_is_what_a_generated_one_does():
    made = resolved("v2.yaml")
    made["efficiency"]["sc"] = {"label": "SC", "model": "flux_f16_sc"}
    timed = cost.efficiency(made, "sc", "eval_4096")
    assert ("train_vae", "flux_vae_sc") in timed.needs
    assert timed.sources == ("flux",)


def test_disk():
    made = plan.Plan(resolved())
    works = {work.key: work for work in made.everything}
    # posteriors of each image and its mirror image 2 x 50 GB, texts 15 GB and 7.6 GB
    assert works["latents", "sd3"].gb == pytest.approx(100 + 15, rel=0.02)
    assert works["latents", "flux"].gb == pytest.approx(100 + 7.6, rel=0.02)
    state = 16 * backbones.get("flux").architecture.parameters / 1e9
    assert state == pytest.approx(190, rel=0.01)
    # docs/training.md: 0.8 TB
    assert works["train", "flux_f16_wlf"].gb == pytest.approx(4 * state)


def test_a_figure_takes_only_what_it_shows():
    made = plan.Plan(resolved())
    works = {work.key: work for work in made.figures["figure_8"]}
    assert {key[0] for key in works} == {"draw"}
    drawn = works["draw", "figure_8"]
    # Flux, 50 steps; Sana is of no backbone of ours, so that its hours are unknown
    assert drawn.images == 8
    assert drawn.flops == pytest.approx(4 * (50 * 418.1e12 + 48.6e12), rel=1e-3)
    ablation = {work.key: work for work in made.figures["figure_9"]}
    assert ablation["draw", "figure_9"].images == 18
    assert ("train", "sd3_f16_finetune") in ablation and ("train", "flux_f16_wlf") not in ablation
    assert not {"generate", "features", "texture"} & {key[0] for key in ablation}
    rebuilt = {work.key: work for work in made.figures["figure_4"]}
    one = cost.reconstruct(made.config, "sd3")
    assert rebuilt["rebuild", "figure_4"].flops == pytest.approx(8 * one.flops / one.images)
    assert [work.key for work in made.figures["figure_13"]] == [
        ("check", split) for split in ("train", "eval_2048", "eval_4096")
    ]


def test_a_figures_pictures_count_by_size_guidance_steps_and_seed():
    texts = {"texts": ["a", "b", "c"], "label": "mine"}
    figure = {"kind": "gallery", "title": "T", "rows": ["sd3_f16"], "prompts": "mine"}
    figure |= {"sizes": [[2048, 2048], [4096, 4096]], "steps": [10, 20], "seeds": [0, 1]}
    made = plan.Plan(resolved(prompts={"mine": texts}, figures={"figure_mine": figure}, tables={}))
    drawn = {work.key: work for work in made.figures["figure_mine"]}["draw", "figure_mine"]
    each = [
        cost.picture(
            made.config, {"backbone": "sd3", "generate": {"steps": s, "guidance": 7.0}}, px
        )
        for px in ({"height": 2048, "width": 2048}, {"height": 4096, "width": 4096})
        for s in (10, 20)
    ]
    assert drawn.images == 24
    assert drawn.flops == pytest.approx(3 * 2 * sum(each))


def test_who_asks_people_and_models_is_told_pictures_questions_and_their_cost(tmp_path):
    price = {"base_url": "http://localhost:1/v1", "model": "m", "price": {"input": 1, "output": 1}}
    (tmp_path / "l.jsonl").write_text("", encoding="utf-8")
    changes = {
        "endpoints": {"eyes": price},
        "judge": {"endpoint": "eyes", "max_cost": 20},
        "captions": {"mine": {"endpoint": "eyes", "max_cost": 3}},
        "splits": {"eval_4096": {"captions": "mine"}},
    }
    made = plan.Plan(resolved(**changes))
    assert set(made.asking) == {"rating_kit", "judge", "captions"}
    kits = made.asking["rating_kit"]
    assert sum(work.images for work in kits if work.key[0] == "draw") == 4 * 20
    asked = {work.key: (work.calls, work.max_cost) for work in made.everything if work.calls}
    # two pairs of twenty prompts in both orders; it is Figure 6 that needs it
    assert asked == {("judge",): (80, 20), ("caption", "mine", "eval_4096"): (195, 3)}
    assert ("judge",) in {work.key for work in made.figures["figure_6"]}
    said = "\n".join(words.every(made))
    assert re.search(r"^judge +80 +20$", said, re.MULTILINE)
    assert set(plan.Plan(resolved()).asking) == {"rating_kit"}
    assert plan.Plan(resolved()).asking["rating_kit"]
    assert plan.Plan(resolved("weekend.yaml")).asking == {}


def test_online_latents_cost_no_disk_but_a_slower_training():
    stored, online = (plan.Plan(resolved(latents={"mode": m})) for m in ("precomputed", "online"))
    assert cost.latents(online.config, "sd3").gb == pytest.approx(15, rel=0.02)
    assert cost.latents(online.config, "sd3").flops == 0
    assert (
        cost.train(online.config, "sd3_f16_wlf").flops
        > cost.train(stored.config, "sd3_f16_wlf").flops
    )


def test_a_table_takes_only_what_it_needs():
    made = plan.Plan(resolved())
    assert {work.key[0] for work in made.tables["table_9"]} == {"check"}
    assert made.gpu_hours(made.tables["table_9"]) == 0
    assert "vgg16" in made.sources(made.tables["table_2"])
    assert "vgg16" not in made.sources(made.tables["table_3"])


def test_models_that_are_not_of_our_backbones_have_jobs_but_no_hours():
    made = plan.Plan(resolved("baselines.yaml"))
    works = {work.key: work for work in made.tables["table_3"]}
    sana = works["generate", "sana_2k", "eval_2048"]
    assert (sana.jobs, sana.images, sana.flops) == (14, 2781, 0)
    assert {"sana_2k", "pixart_sigma_2k", "flux_wavelet"} <= set(made.sources(works.values()))


def test_human_ratings_bring_the_scores_that_they_are_compared_with(tmp_path):
    (tmp_path / "ratings.csv").write_text("model,id,rating\n", encoding="utf-8")
    path = str(tmp_path / "ratings.csv")
    ratings = {"path": path, "evaluation": "eval_4096", "models": ["sd3_f16"]}
    weights = {name: {"path": path} for name in ("musiq", "maniqa")}
    without, made = plan.Plan(resolved()), plan.Plan(resolved(ratings=ratings, sources=weights))
    assert without.tables["table_1"] == []
    stages = {work.key[0] for work in made.tables["table_1"]}
    assert stages == {"generate", "texture", "quality"}


def test_a_price_of_a_gpu_hour_is_a_column_more():
    made = plan.Plan(resolved(plan={"price": 2}))
    assert words.heads(made)[-1] == "cost"
    assert words.sums(made, made.everything)[-1] == words.number(
        2 * made.gpu_hours(made.everything)
    )
    assert words.heads(plan.Plan(resolved())) == list(words.SUMS)


def test_the_target_prints_it_and_needs_no_source(workflow):
    done = workflow.run("plan", "--configfile", "config/miniature.yaml")
    assert "train        flux_f16_wlf" in done.stdout and "figure_9 " in done.stdout
    made = {path.name for path in (workflow.folder / "results/miniature").iterdir()}
    assert made == {"config.yaml", "logs"}
