"""Figures and prompt sets: what is wrong is one line that names the key."""

import pytest

from configs import fault, load, resolve
from diffusion4k.dag import draw, figures

MINE = {"kind": "gallery", "title": "Mine", "rows": ["sd3_f16"]}
OF_PROMPTS = MINE | {"prompts": "words", "sizes": [[2048, 3072]]}


def of(**changes):
    """The fault of one figure; None takes a key away."""
    entry = {key: value for key, value in (OF_PROMPTS | changes).items() if value is not None}
    return fault(figures={"figure_mine": entry})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"evaluation": "eval_4096"}, "figure_mine: needs either evaluation or prompts"),
        ({"prompts": None}, "figure_mine: needs either evaluation or prompts"),
        ({"prompts": "word"}, "prompts: no prompts entry 'word'; there are teaser"),
        ({"sizes": None}, "missing sizes, [height, width]"),
        ({"sizes": [[2048, 3000]]}, "figure_mine.sizes.0.1: 3000"),
        ({"sizes": [[2048]]}, "figure_mine.sizes.0"),
        ({"prompts": None, "evaluation": "eval_4096"}, "missing count"),
        ({"rows": ["sd3"]}, "rows: no models entry 'sd3'"),
        ({"images": 3}, "figure_mine.images: a gallery takes evaluation, prompts"),
        ({"zoom": 32}, "figure_mine.zoom: 32 px; at least a patch of metrics.glcm, 64"),
        ({"zoom": 4096}, "shortest side, 2048"),
        ({"kind": "pie"}, "figure_mine.kind: 'pie'"),
        ({"seeds": [-1]}, "figure_mine.seeds.0: -1"),
        ({"guidance": []}, "figure_mine.guidance"),
        ({"steps": list(range(1, 60))}, "354 lines, and a figure holds 240"),
        ({"seeds": list(range(300))}, "300 columns, and a figure holds 240"),
    ],
)
def test_a_galleries_fault_names_its_key(changes, said):
    assert said in of(**changes)


def test_faults_of_other_kinds():
    curves = {"kind": "curves", "title": "Losses", "rows": ["sd3_f16"]}
    assert "sd3_f16 is not trained" in fault(figures={"figure_mine": curves})
    assert "a histogram takes no key of its own" in fault(figures={"figure_13": {"zoom": 64}})
    patches = {"kind": "patches", "title": "Patches", "rows": ["train"]}
    assert "missing count, images, size" in fault(figures={"figure_mine": patches})
    patches |= {"count": 3, "images": 3, "size": 32}
    assert "size: smaller than a patch" in fault(figures={"figure_mine": patches})


def test_a_folder_of_pictures_goes_with_its_evaluation_alone(tmp_path):
    mine = {"mine": {"images": str(tmp_path), "tables": []}}
    entry = OF_PROMPTS | {"rows": ["mine"]}
    said = fault(models=mine, figures={"figure_mine": entry})
    assert "mine is a folder of pictures" in said and "prompts, sizes" in said
    beside = {"figure_9": {"rows": ["sd3_f16", "mine"]}}
    config = resolve(models=mine, figures=beside)
    assert draw.sampled(config, "figure_9") == ["sd3_f16"]
    own = figures.rows(config, "figure_9")[1:]
    assert len(own) == 5 and own[0][1].endswith("generate/mine/eval_4096/shard-0-of-5.json")


def test_prompt_sets_are_read_before_work(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("a fox\n\na fox\n", encoding="utf-8")
    assert "prompts.mine: " in fault(prompts={"mine": {"file": str(path), "label": "mine"}})
    said = fault(prompts={"mine": {"file": str(path), "label": "mine"}})
    assert "mine.txt, line 3: the same text as line 1" in said
    assert "give either file or texts" in fault(prompts={"mine": {"label": "mine"}})
    half = {"mine": {"texts": ["a", "\ud83e"], "label": "mine"}}
    assert r"prompts.mine: texts, text 2: the text has half a character (\ud83e" in fault(
        prompts=half
    )
    assert "prompts.mine: missing label" in fault(prompts={"mine": {"texts": ["a"]}})


def test_the_papers_figures_say_whose_prompts_they_show():
    config = resolve()
    for name, entry in config["figures"].items():
        if "prompts" in entry:
            assert "Prompts: ours" in figures.spec(config, name, [])
    raw = load("config.yaml")
    assert all("ours" in entry["label"] for entry in raw["prompts"].values())


def test_how_many_pictures_a_figure_draws():
    config = resolve(figures={"figure_mine": OF_PROMPTS | {
        "sizes": [[4096, 4096], [4096, 3072], [3072, 4096]], "guidance": [5.0, 5.5, 6.0, 6.5, 7.0],
        "steps": [50, 80, 100], "seeds": list(range(10)), "count": 1, "shards": 9,
    }})  # fmt: skip
    counts = {name: draw.count(config, name) for name in figures.reading(config, "pictures")}
    assert counts["figure_mine"] == 3 * 5 * 3 * 10
    assert len(draw.drawn(config, "figure_mine")) == 9
    assert (counts["figure_9"], counts["figure_10"]) == (3 * 6, 4 * 8)
    assert (counts["figure_1"], counts["figure_11"], counts["figure_12"]) == (8, 3 * 4, 6)
