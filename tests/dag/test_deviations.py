"""A table's footer names what it depends on that is not as in the paper, and nothing else."""

import json
import re
import shlex

import pytest
import yaml

from diffusion4k.dag import deviations

OF_GUIDANCE = "backbones.sd3.generate: guidance = 5.0 (paper: 7.0)"
CHANGES = {
    "metrics": {"glcm": {"patch": 32}},
    "fidelity": {"encoder_downsampling": "corrected", "flips": "corrected"},
    "vae": {"decoder": "upsample"},
    "backbones": {"sd3": {"generate": {"guidance": 5.0}}},
    "recipes": {"mine": {"objective": "velocity", "wavelet": "haar", "levels": 1}},
    "models": {
        "mine": {
            "label": "Mine",
            "backbone": "sd3",
            "recipe": "mine",
            "generate": {"steps": 10},
            "tables": ["table_7"],
        }
    },
}
CHANGES["recipes"]["mine"]["band_weights"] = [1, 1, 1, 1]


def footers(checkout, *overlays: str) -> dict[str, list[str]]:
    """table => its footer, as the job that makes it gets it."""
    text = checkout.run("-n", "-p", "tables", *overlays, "--config", "run=unmade").stdout
    found = {}
    for line in re.findall(r"python scripts/table\.py (.*)", text):
        words = shlex.split(line)
        name, spec = (words[words.index(flag) + 1] for flag in ("--name", "--spec"))
        found[name] = json.loads(spec)["footer"]
    return found


def of_figures(checkout, *words: str) -> dict[str, list[str]]:
    """Figure => its footer, as the job that draws it gets it."""
    text = checkout.run("-n", "-p", *words).stdout
    found = {}
    for line in re.findall(r"python scripts/figure\.py (.*)", text):
        words = shlex.split(line)
        spec = json.loads(words[words.index("--spec") + 1])
        found[spec["title"].partition(":")[0]] = spec["footer"]
    return found


def test_a_figure_says_it_too(checkout, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({"backbones": CHANGES["backbones"]}), encoding="utf-8")
    overlay = ("--configfile", str(path), "--config", "run=unmade")
    found = of_figures(checkout, "figure_9", "figure_3", *overlay)
    assert found["Figure 3"] == []
    assert found["Figure 9"] == ["fidelity: published", f"Not as in the paper: {OF_GUIDANCE}"]


def test_only_what_differs_from_the_papers_own_value_is_said(checkout, tmp_path):
    path, votes = tmp_path / "mine.yaml", tmp_path / "ann.json"
    votes.write_text("{}", encoding="utf-8")
    changes = {
        "votes": str(votes),
        # another benchmark, of which nothing is changed
        "people": {"evaluation": "eval_4096"},
        "evaluations": {"eval_2048": {"split": "eval_4096"}},
        # the same by another key: the models' guidance and tiling, the run's seed, a square
        "figures": {
            "figure_10": {"guidance": [7.0], "seeds": [0], "sizes": [[2048, 2048]]},
            # of models with different guidance
            "figure_7": {"guidance": [7.0]},
        },
        "models": {"sd3_f16": {"generate": {"vae_tiling": False}}},
    }
    path.write_text(yaml.safe_dump(changes), encoding="utf-8")
    overlay = ("--configfile", str(path), "--config", "run=unmade")
    found = of_figures(checkout, "figure_6", "figure_7", "figure_10", *overlay)
    split = "Not as in the paper: evaluations.eval_2048: split = eval_4096 (paper: eval_2048)"
    assert found["Figure 10"] == ["fidelity: published", split]
    varied = "; figures.figure_7: guidance = [7.0] (paper: not set)"
    assert found["Figure 7"] == ["fidelity: published", split + varied]
    other = "Not as in the paper: people: evaluation = eval_4096 (paper: eval_2048)"
    assert found["Figure 6"] == ["fidelity: published", other]


def test_what_is_drawn_or_rebuilt_for_a_figure_alone_says_it_too(checkout, tmp_path):
    path = tmp_path / "mine.yaml"
    changes = {
        "backbones": {"flux": {"generate": {"steps": 10, "guidance": 2.0}}},
        "reconstruction": {"size": 2048},
        "vaes": {"sd3": {"decoder": "upsample"}},
        "figures": {"figure_1": {"sizes": [[2048, 2048]]}},
    }
    path.write_text(yaml.safe_dump(changes), encoding="utf-8")
    overlay = ("--configfile", str(path), "--config", "run=unmade")
    lines = of_figures(checkout, "figure_1", "figure_4", *overlay)
    footer = {name: below[-1] for name, below in lines.items()}
    # its own guidance stands before the backbone's
    assert "backbones.flux.generate: steps = 10 (paper: 50); " in footer["Figure 1"]
    assert "figures.figure_1: sizes = [[2048, 2048]] (paper: [[4096" in footer["Figure 1"]
    assert "guidance" not in footer["Figure 1"]
    assert "reconstruction: size = 2048 (paper: 4096)" in footer["Figure 4"]
    assert "vaes.sd3: decoder = upsample" in footer["Figure 4"]


def test_of_the_papers_configuration_there_is_nothing_to_name(checkout):
    found = footers(checkout)
    assert len(found) == 18
    assert found["table_9"] == []
    assert {line for lines in found.values() for line in lines} == {"fidelity: published"}


@pytest.fixture(scope="module")
def changed(checkout, tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "mine.yaml"
    path.write_text(yaml.safe_dump(CHANGES), encoding="utf-8")
    return footers(checkout, "--configfile", str(path))


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("metrics.glcm: patch = 32 (paper: 64)", {"table_4", "table_8"}),
        (OF_GUIDANCE, {f"table_{n}" for n in (3, 4, 5, 6, 7, 8, "s1", "s2", "fid2048", "fid4096")}),
        # a recipe and a model of one's own are described, but for what is as in the paper
        ("recipes.mine: band_weights = [1, 1, 1, 1], levels = 1, objective = velocity, wavelet =",
         {"table_7"}),
        ("models.mine: backbone = sd3, generate.steps = 10 (paper: 50), recipe = mine",
         {"table_7"}),
        # a row that was corrected is named by its name, and by nothing else
        ("encoder = dilation", set()),
        # what exports put into a pipeline, but no training and no image sizes
        ("vae: decoder = upsample (released code: published)",
         {f"table_{n}" for n in (2, 3, 4, 5, 6, 7, 8, "s1", "s2", "fid2048", "fid4096", "vae")}),
    ],
)  # fmt: skip
def test_a_setting_is_named_below_the_tables_that_depend_on_it_and_no_others(changed, text, tables):
    assert {
        name for name, lines in changed.items() if any(text in line for line in lines)
    } == tables


def test_rows_of_fidelity_are_named_where_they_matter(changed):
    rows = {name: [line for line in lines if "fidelity" in line] for name, lines in changed.items()}
    assert rows["table_9"] == []
    assert rows["table_2"] == ["fidelity: corrected"]  # the other row is set by hand
    assert rows["table_6"] == ["fidelity: published; corrected encoder_downsampling"]
    assert rows["table_8"] == ["fidelity: published; corrected encoder_downsampling, flips"]


def test_below_the_miniatures_tables_every_key_is_named(checkout):
    found = footers(checkout, "--configfile", "config/miniature.yaml")
    sizes = "splits.eval_2048: count = 12 (paper: 2781), min_side = 128 (paper: 2048)"
    assert found["table_9"][0].startswith(f"Not as in the paper: sources: aesthetic_4k; {sizes}; ")
    assert found["table_10"][-1].endswith("steps = 900 (paper: 20000), zero_stage = 0 (paper: 2)")


def test_of_a_section_that_differs_in_much_the_last_are_named_without_values():
    many = {("train", f"key{i}"): (i, 0) for i in range(deviations.SHOWN + 2)}
    line = deviations._line(many)
    assert line.startswith("Not as in the paper: train: key0 = 0 (paper: 0), key1 = 1 (paper: 0)")
    assert line.endswith(f"(paper: 0), key{len(many) - 2}, key{len(many) - 1}")
