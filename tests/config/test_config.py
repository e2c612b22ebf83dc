"""The configuration: complete, strict, explained in one line a fault, documented key by key."""

import re
import shlex

import pytest
import yaml

import train
from configs import ROOT, fault, load, resolve
from diffusion4k import backbones
from diffusion4k.config import fidelity, training
from diffusion4k.config import resolve as config
from diffusion4k.dag import paper
from diffusion4k.dag import train as dag
from diffusion4k.errors import UserError
from diffusion4k.train import settings

# what train.py takes besides a recipe


def test_the_papers_numbers_are_in_the_default():
    paper = resolve()
    counts = {name: split.get("count") for name, split in paper["splits"].items()}
    known = {"train": 12015, "train_v2": 105288, "eval_2048": 2781, "eval_4096": 195}
    assert counts == known | {"sa_1b": None}
    assert paper["train"]["steps"] == 20000 and paper["train"]["learning_rate"] == 1e-6
    assert paper["backbones"]["sd3"]["train"]["global_batch"] == 64
    assert paper["backbones"]["flux"]["train"]["global_batch"] == 32


def test_miniature_changes_only_sizes_counts_and_sources():
    allowed = {
        "run", "sources", "splits", "evaluations", "backbones", "latents", "train", "generate",
        "reconstruction", "plan", "prompts", "figures", "resources", "vae_training", "tables",
    }  # fmt: skip
    assert set(load("miniature.yaml")) <= allowed
    assert set(load("miniature.yaml")["tables"]) == {"table_s1"}  # which the paper does not have
    paper = resolve()
    small = config.resolve(load("config.yaml", "miniature.yaml"))
    paper["tables"].pop("table_s1"), small["tables"].pop("table_s1")
    for same in ("models", "recipes", "tables", "fidelity", "metrics", "vae"):
        assert small[same] == paper[same]
    for name, figure in paper["figures"].items():
        assert small["figures"][name]["kind"] == figure["kind"]
        assert figure.keys() <= small["figures"][name].keys()
    for name, evaluation in paper["evaluations"].items():
        assert small["evaluations"][name]["size"] * 16 == evaluation["size"]


BF16_WEIGHTS = {"optimizer": "adamw_8bit_bf16", "offload_optimizer": False, "zero_stage": 0}


def pairs(*given):
    """A study of these pairs, and a figure of it."""
    of_figure = {"figure_6": {"rows": [given[0][0]]}}
    return {"people": {"pairs": list(given)}, "figures": of_figure}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trian": {}}, ["trian", "did you mean train"]),
        ({"train": {"setps": 3}}, ["train", "setps", "did you mean steps"]),
        ({"train": {"steps": "many"}}, ["train.steps", "many", "integer"]),
        ({"evaluations": {"eval_2048": {"size": 2050}}}, ["size", "2050", "multiples of 32"]),
        ({"sources": {"sd3": {"path": "/no/such/folder"}}}, ["sources.sd3.path", "does not exist"]),
        ({"tables": {"table_3": {"rows": ["sd4"]}}}, ["tables.table_3.rows", "sd4", "sd3_f16_wlf"]),
        ({"tables": {"table_3": {"columns": ["fdi"]}}}, ["tables.table_3.columns", "fdi"]),
        ({"tables": {"table_10": {"rows": ["sd3_f16"]}}}, ["sd3_f16", "not trained"]),
        ({"models": {"mine": {"label": "Mine", "backbone": "sdxl"}}}, ["models.mine", "sdxl"]),
        ({"backbones": {"sd3": {"train": {"global_batch": 7}}}}, ["global_batch", "multiple"]),
        ({"train": {"keep": [123]}}, ["train.keep", "123"]),
        ({"train": {"zero_stage": 0}}, ["train.offload_optimizer", "zero_stage: 2"]),
        ({"train": {"optimizer": "adamw_8bit"}}, ["adamw_8bit", "offload_optimizer: false"]),
        (
            {
                "train": {"optimizer": "adamw_8bit", "offload_optimizer": False},
                "backbones": {"flux": {"train": {"gpus": 4}}},
            },
            ["backbones.flux.train.gpus", "2^31", "zero_stage: 0"],
        ),
        (
            {"backbones": {"flux": {"train": {"optimizer": "adamw_8bit"}}}},
            ["backbones.flux.train.optimizer", "offload_optimizer: false"],
        ),
        (
            {"backbones": {"sd3": {"train": {"zero_stage": 0}}}},
            ["train.offload_optimizer", "zero_stage: 2"],
        ),
        ({"train": {"save_every": 0}}, ["train.save_every: 0", "{minutes: …}"]),
        ({"train": {"save_every": {"hours": 1}}}, ["train.save_every", "{minutes: …}"]),
        ({"train": BF16_WEIGHTS}, ["train.clip", "adamw_8bit_bf16", "set clip: 0"]),
        (
            {
                "train": BF16_WEIGHTS | {"clip": 0},
                "backbones": {"sd3": {"train": {"gpus": 1, "global_batch": 8}}},
            },
            ["backbones.flux.train.global_batch", "adamw_8bit_bf16", "one process"],
        ),
        ({"efficiency": {"sd3_f8": {"model": "sd4"}}}, ["efficiency.sd3_f8.model", "sd4"]),
        ({"vaes": {"mine": {"source": "sd5", "label": "Mine"}}}, ["vaes.mine.source", "sd5"]),
        ({"tables": {"table_3": {"against": {"sd3_f16_wlf": "sd4"}}}}, ["table_3.against", "sd4"]),
        ({"tables": {"table_3": {"against": {"sd3_f16": "sd3_f16"}}}}, ["sd3_f16 against itself"]),
        ({"tables": {"table_1": {"rows": ["fid"]}}}, ["table_1.rows", "fid", "maniqa"]),
        ({"evaluations": {"eval_2048": {"crop": 4096}}}, ["eval_2048.crop", "4096", "2048 px"]),
        ({"metrics": {"glcm": {"patch": 512}}}, ["metrics.glcm.patch", "512"]),
        ({"metrics": {"glcm": {"distances": [64]}}}, ["metrics.glcm: distances [64]", "patch"]),
        ({"ratings": {"path": "no.csv", "evaluation": "eval_4096"}}, ["ratings", "missing models"]),
        ({"votes": ["config/*.yaml", "no*.json"]}, ["votes: no*.json does not exist"]),
        (pairs(["sd3_f16", "sd4"]), ["people.pairs", "sd4"]),
        ({"people": {"pairs": [["sd3_f16"]]}}, ["people.pairs", "2"]),
        (pairs(["sd3_f16", "sd3_f16"]), ["people.pairs: sd3_f16 and sd3_f16", "two models"]),
        (
            pairs(["sd3_f16", "flux_f16"], ["flux_f16", "sd3_f16"]),
            ["people.pairs: flux_f16 and sd3_f16", "each pair once"],
        ),
        ({"figures": {"figure_6": {"rows": ["sd3_f16"]}}}, ["figure_6.rows: sd3_f16 is first of"]),
        ({"fidelity": {"glcm": "corrected"}}, ["fidelity.glcm", "no such row"]),
        ({"recipes": {"wlf": {"wavelet": "dbx"}}}, ["recipes.wlf.wavelet", "'dbx'", "db2"]),
        ({"recipes": {"wlf": {"levels": 9}}}, ["recipes.wlf.levels", "9", "256 x 256"]),
        ({"recipes": {"wlf": {"band_weights": [1] * 5}}}, ["recipes.wlf.band_weights", "give 4"]),
        (
            {"recipes": {"wlf": {"levels": 2, "band_weights": [1] * 10}}},
            ["10 weights for 2 levels", "give 4 or 7"],
        ),
        ({"recipes": {"finetune": {"band_weights": [1, 2, 2, 2]}}}, ["finetune", "no bands"]),
        ({"models": {"reference": {"images": "."}}}, ["models.reference", "choose another"]),
        ({"recipes": {"wlf": {"band_weights": [0] * 4}}}, ["recipes.wlf.band_weights", "zero"]),
        ({"recipes": {"mine": {}}}, ["recipes.mine: missing objective, wavelet, levels, band_w"]),
        (
            {"models": {"sd3_f16": {"images": "."}}},
            ["models.sd3_f16", "backbone and images", "choose another name"],
        ),
        (
            {"models": {"mine": {"images": ".", "label": "SD3-F16", "tables": ["table_3"]}}},
            ["tables.table_3.rows: sd3_f16 and mine are both called SD3-F16", "models.mine.label"],
        ),
        ({"fidelity": "exact"}, ["fidelity", "exact"]),
        ({"models": {"sd3_f16": {"label": "SD3\nF16"}}}, ["models.sd3_f16.label", "one line"]),
        ({"tables": {"table_3": {"title": "a\r\nb"}}}, ["tables.table_3.title", "one line"]),
        ({"run": "../elsewhere"}, ["run", "elsewhere"]),
    ],
)
def test_a_fault_is_one_clear_line(changes, words):
    text = fault(**changes)
    assert "\n" not in text
    assert all(word in text for word in words), text


def test_what_you_have_wins_over_what_would_be_fetched(tmp_path):
    entry = resolve(sources={"sd3": {"path": str(tmp_path)}})["sources"]["sd3"]
    assert entry == {"path": str(tmp_path)}


def test_a_files_checksum_is_kept_when_it_is_given_by_path(tmp_path):
    known = resolve()["sources"]["inception"]["sha256"]
    entry = resolve(sources={"inception": {"path": str(tmp_path)}})["sources"]["inception"]
    assert entry == {"path": str(tmp_path), "sha256": known}
    made = config.resolve(load("config.yaml", "miniature.yaml"))
    assert made["sources"]["inception"] == {"make": "inception"}


def test_a_gpu_model_that_the_executor_refuses_says_what_to_do():
    text = fault(site={"gpu_model": "nvidia_a100-sxm4-80gb"})
    assert "site.gpu_model: 'nvidia_a100-sxm4-80gb': Snakemake's SLURM plugin takes" in text
    assert "leave site.gpu_model out" in text and "site.constraint" in text


def test_clean_fids_network_needs_a_checksum(tmp_path):
    raw = load("config.yaml")
    raw["sources"]["inception_clean"] = {"path": str(tmp_path)}
    with pytest.raises(UserError, match="sources.inception_clean: needs sha256"):
        config.resolve(raw)


def test_ratings_need_their_file_and_the_networks_of_their_metrics(tmp_path):
    ratings = {"path": str(tmp_path / "r.csv"), "evaluation": "eval_4096", "models": ["sd3_f16"]}
    assert "ratings.path" in fault(ratings=ratings)
    (tmp_path / "r.csv").touch()
    resolved = resolve(ratings=ratings)
    assert [row for row, _ in paper.numbers(resolved, "table_1")] == [
        "glcm:correlation",
        "cr:correlation",
    ]
    reason = paper.reason(resolved, "musiq", ["correlation"])
    assert "sources.maniqa.path" in reason and "sources.musiq.path" in reason
    text = fault(tables={"table_4": {"columns": ["musiq"]}})
    assert "sources.musiq.path" in text and "sources.maniqa.path" in text


def test_a_kits_ratings_are_of_its_own_evaluation(tmp_path):
    (tmp_path / "r.json").touch()
    ratings = {"path": str(tmp_path / "*"), "evaluation": "eval_4096", "models": ["sd3_f16"]}
    assert "ratings.evaluation: the kit shows pictures of eval_2048" in fault(ratings=ratings)
    assert resolve(ratings=ratings | {"evaluation": "eval_2048"})["ratings"]["path"]


def test_all_faults_are_said_at_once():
    text = fault(seed="one", train={"steps": 0, "kept": []}, tables={"table_3": {"open": "yes"}})
    lines = text.splitlines()
    assert len(lines) == 4 and all(line.startswith("config: ") for line in lines)
    relations = {"models": {"mine": {"source": "sd5"}}, "latents": {"split": "test"}}
    relations["recipes"] = {"wlf": {"wavelet": "dbx", "levels": 9}}
    assert len(fault(**relations).splitlines()) == 4


def training_flags(checkout, tmp_path, model: str, changes: dict):
    """What scripts/train.py is told in the last segment of a model, from a dry run."""
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(changes), encoding="utf-8")
    configs = ("--configfile", "config/config.yaml", str(tmp_path / "mine.yaml"))
    step = dag.last_step(resolve(run="unmade", **changes), model)
    command = checkout.command(step, *configs, "--config", "run=unmade")
    words = command.split("scripts/train.py")[1].split(">>")[0]
    return train.parser().parse_args(shlex.split(words))


def test_the_trainers_rules_are_said_of_the_keys_that_settings_come_from(checkout, tmp_path):
    """Built from the configuration as from a job's flags; see also the faults of recipes above."""
    for changes in ({}, {"fidelity": "corrected", "train": {"compile": True}}):
        resolved = resolve(**changes)
        assert len(dag.trained(resolved)) == 3
        for model in dag.trained(resolved):
            args = training_flags(checkout, tmp_path, model, changes)
            assert training.settings(resolved, model) == settings.from_arguments(args)
    both = {"sd3": {"train": {"gpus": 3, "nodes": 3}}, "flux": {"train": {"micro_batch": 5}}}
    lines = fault(backbones=both).splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "backbones.sd3.train.global_batch",
        "backbones.flux.train.global_batch",
    ]


def test_any_text_is_a_negative_prompt():
    assert resolve(generate={"negative_prompt": "-- blurry"})["generate"]["negative_prompt"]


def test_every_fidelity_row_changes_the_configuration():
    published = resolve()
    for row in fidelity.ROWS:
        changed = resolve(fidelity={row: "corrected"})
        changed.pop("fidelity")
        assert changed != {k: v for k, v in published.items() if k != "fidelity"}, row


def test_fidelity_corrected_turns_every_row_and_an_own_key_wins():
    corrected = resolve(fidelity="corrected")
    assert set(corrected["fidelity"].values()) == {"corrected"}
    assert corrected["vae"]["decoder"] == "folded"
    own = resolve(fidelity="corrected", vae={"decoder": "upsample"})
    assert own["vae"]["decoder"] == "upsample"


def test_a_footer_names_the_rows_that_govern_its_keys():
    flips, decoder = "train.flip_probability", "vae.decoder"
    assert fidelity.describe(resolve(), {flips, "seed"}) == "fidelity: published"
    assert fidelity.describe(resolve(), {"seed"}) == ""
    assert fidelity.describe(resolve(fidelity="corrected"), {flips}) == "fidelity: corrected"
    one = resolve(fidelity={"flips": "corrected"})
    found = fidelity.describe(one, {flips, decoder})
    assert found == "fidelity: published; corrected flips"
    assert fidelity.described(one, flips) and not fidelity.described(one, decoder)
    # what was set by hand is neither, and named with its value
    own = resolve(fidelity="corrected", vae={"decoder": "upsample"})
    assert fidelity.describe(own, {decoder}) == ""
    assert not fidelity.described(own, decoder)


def test_the_documented_settings_of_flux_on_one_gpu_are_accepted_and_counted_right(
    checkout, tmp_path
):
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    section = re.search(r"## Flux-12B in full on one GPU of 141 GB(.*?)\n## ", text, re.DOTALL)[1]
    changes = yaml.safe_load(re.search(r"```yaml\n(.*?)```", section, re.DOTALL)[1])
    args = training_flags(checkout, tmp_path, "flux_f16_wlf", changes)
    recipe = settings.from_arguments(args)
    assert (args.processes, recipe.accumulation(args.processes)) == (1, 32)
    assert recipe.gradient_checkpointing and not recipe.zero_stage
    assert (recipe.optimizer, recipe.precision) == ("adamw_8bit", "bfloat16")
    other = settings.from_arguments(training_flags(checkout, tmp_path, "sd3_f16_wlf", changes))
    assert (other.optimizer, other.zero_stage, other.offload_optimizer) == ("adamw", 2, True)
    assert other.keep_attention and not recipe.keep_attention
    count = backbones.get("flux").architecture.parameters
    rows = [line.split("|")[2].strip() for line in section.splitlines() if line.startswith("| ")]
    weights, gradients, states, *rest, total = map(float, rows[1:])
    assert f"{count:,}" in section and weights == gradients == round(4 * count / 1e9, 1)
    assert states == round((2 + 2 * 4 / 256) * count / 1e9, 1)
    assert total == pytest.approx(weights + gradients + states + sum(rest), abs=0.1)
