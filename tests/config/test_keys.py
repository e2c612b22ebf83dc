"""The keys: strict in their types, each documented, and nothing stale; files read strictly."""

import dataclasses
import functools
import json
import subprocess
import sys
from typing import get_args

import jsonschema
import pytest
import torch
import yaml

import config_docs
from configs import ROOT, fault, load, resolve
from diffusion4k import limits
from diffusion4k.config.keys import Configuration
from diffusion4k.config.keys.models import BackboneTraining, Recipe, VaeRecipe
from diffusion4k.config.keys.stages import Training, VaeTraining
from diffusion4k.config.keys.types import Section
from diffusion4k.config.resolve import check_files, read, save, saved
from diffusion4k.errors import UserError
from diffusion4k.train.autoencoder_settings import AutoencoderSettings
from diffusion4k.train.settings import Settings

CONFIG = ROOT / "config"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"train": {"compile": "true"}}, "train.compile: 'true' should be a valid boolean"),
        ({"train": {"compile": 1}}, "train.compile: 1 should be a valid boolean"),
        ({"train": {"steps": True}}, "train.steps: True should be a valid integer"),
        ({"train": {"steps": 3.0}}, "train.steps: 3.0 should be a valid integer"),
        ({"train": {"zero_stage": False}}, "train.zero_stage: False should be a valid integer"),
        (
            {"train": {"learning_rate": "1e-6"}},
            "train.learning_rate: '1e-6' is a text to YAML; write 1.0e-6",
        ),
        (
            {"train": {"learning_rate": ".5e-3"}},
            "train.learning_rate: '.5e-3' is a text to YAML; w",
        ),
        ({"train": {"steps": "2e4"}}, "train.steps: '2e4' is a text to YAML; write 20000"),
        ({"train": {"steps": "2.5"}}, "train.steps: '2.5' should be a valid integer"),
        ({"train": {"clip": float("nan")}}, "train.clip: nan should be a finite number"),
        ({"train": {"keep": 5000}}, "train.keep: 5000 should be a valid list"),
        ({"train": 3}, "train: 3 should be a mapping of keys"),
        ({"site": {"account": None}}, "site.account: None should be a valid string"),
        ({"vaes": {"sd3_f8": {"factor": 8.0}}}, "vaes.sd3_f8.factor: 8.0 should be a valid int"),
        ({"models": {"Mine": {"backbone": "sd3"}}}, "models.Mine: a name has small letters"),
        ({"models": {"m": []}}, "models.m: [] should be a mapping of keys"),
        ({"tables": {"mine": {"title": "Mine"}}}, "tables.mine: a table is called table_"),
        ({"sources": {"mine": {"type": "model"}}}, "sources.mine: needs one of path, make, url"),
        (
            {"sources": {"mine": {"make": "x", "options": {"a": [1]}}}},
            "sources.mine.options.a: [1]",
        ),
        ({"resources": {"trian": {}}}, "resources.trian: 'trian' should be"),
        ({"recipes": {"wlf": {"band_weights": [1, 2]}}}, "recipes.wlf.band_weights: [1, 2]: List"),
        ({"seed": 2**63}, "seed: 9223372036854775808: should be at most 2^63 - 1"),
        ({"seed": -1}, "seed: -1 should be greater than or equal to 0"),
        ({"figures": {"figure_9": {"seeds": [0, 2**64]}}}, "figures.figure_9.seeds.1: 18446"),
        ({"figures": {"figure_9": {"seeds": [0, 1, 0]}}}, "figures.figure_9.seeds: [0, 1, 0]: 0 c"),
        ({"tables": {"table_8": {"rows": ["sd3_f16"] * 2}}}, "tables.table_8.rows: ['sd3_f16', "),
        ({"tables": {"table_8": {"columns": ["cr", "glcm", "cr"]}}}, "tables.table_8.columns: ["),
        (
            {"targets": ["table_1", "table_1"]},
            "targets: ['table_1', 'table_1']: table_1 comes t",
        ),
        ({"people": {"rated": ["sd3_f16"] * 2}}, "people.rated: ['sd3_f16', 'sd3_f16']: sd3_f16 c"),
        (
            {"models": {"m": {"images": ""}}},
            "models.m.images: '': empty; it would mean the chec",
        ),
        ({"models": {"m": {"pipeline": ""}}}, "models.m.pipeline: '': empty"),
        ({"sources": {"mine": {"path": ""}}}, "sources.mine.path: '': empty"),
        ({"captions": {"mine": {"path": ""}}}, "captions.mine.path: '': empty"),
        ({"prompts": {"mine": {"file": "", "label": "Mine"}}}, "prompts.mine.file: '': empty"),
        ({"splits": {"train": {"folder": ""}}}, "splits.train.folder: '': empty"),
        ({"run": "a" * 101}, "run: 'aaa"),
        ({"tables": {"table_8": {"title": ""}}}, "tables.table_8.title: '': should be one line"),
        ({"models": {"sd3_f16": {"label": ""}}}, "models.sd3_f16.label: '': should be one line"),
        ({"votes": ""}, "votes: '': empty; give a path"),
        ({"votes": ["a.csv", ""]}, "votes: ['a.csv', '']: empty; give a path"),
        ({"backbones": {"sdxl": {}}}, "backbones.sdxl: missing source, train, generate"),
    ],
)
def test_a_value_has_its_type_and_nothing_is_taken_for_another(changes, where):
    text = fault(**changes)
    assert text.startswith(f"config: {where}") and "\n" not in text


def test_values_stay_as_given_and_optional_keys_absent():
    resolved = resolve(train={"clip": 1}, models={"mine": {"source": "sd3", "tables": []}})
    assert type(resolved["train"]["clip"]) is int
    assert resolved["models"]["mine"] == {"source": "sd3", "tables": [], "label": "mine"}
    assert list(resolved)[: len(load("config.yaml"))] == list(load("config.yaml"))


def test_a_backbone_that_no_code_knows_is_a_fault():
    sdxl = resolve()["backbones"]["sd3"]
    assert "backbones.sdxl: no such backbone; there are" in fault(backbones={"sdxl": sdxl})


def test_resolving_needs_no_torch():
    code = "import diffusion4k.config.resolve, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts").returncode == 0


# settings of training: a key's meaning and its default stand in the trainer's recipe

# of a person who starts one process by hand, and of no backbone in particular
BY_HAND = {
    *("zero_stage", "offload_optimizer", "keep_attention", "discriminator_batch"),
    *("subtract_shift", "guidance", "repeat_draws_every"),
}
RECIPES = [
    (
        Settings,
        (Training, BackboneTraining, Recipe),
        ("train", "backbones.sd3.train", "recipes.wlf"),
    ),
    (AutoencoderSettings, (VaeTraining, VaeRecipe), ("vae_training", "vae_recipes.sc")),
]


@pytest.mark.parametrize(("recipe", "sections", "places"), RECIPES)
def test_a_setting_of_training_is_told_once_and_its_flag_has_the_papers_value(
    recipe, sections, places
):
    config = resolve()
    fields = {field.name: field for field in dataclasses.fields(recipe)}
    told = set()
    for section, place in zip(sections, places, strict=True):
        values = functools.reduce(dict.__getitem__, place.split("."), config)
        for name in section.model_fields.keys() & fields.keys():
            text, default = section.model_fields[name].description, fields[name].default
            assert text == fields[name].metadata["help"] or text.startswith("instead of"), name
            told.add(name)
            if default is not dataclasses.MISSING and name in values and name not in BY_HAND:
                as_key = list(default) if isinstance(default, tuple) else default
                assert values[name] == as_key, f"{place}.{name}"
    # of the whole configuration, of a VAE wherever it is used, of both trainings
    others = {"seed", "backbone", "encoder_form", "decoder_form", "deterministic"}
    assert fields.keys() - told <= others


# documentation


def documented_sections(section=Configuration, prefix=""):
    """Every key as the tables name it, with its meaning."""
    for name, field in section.model_fields.items():
        yield prefix + name, field.description
        named = get_args(field.annotation)  # of a mapping: the type of its names, of its entries
        inner = named[-1] if named else field.annotation
        if isinstance(inner, type) and issubclass(inner, Section):
            below = f"{prefix}{name}.<name>." if named else f"{prefix}{name}."
            yield from documented_sections(inner, below)


def test_every_key_is_documented_and_what_is_made_from_the_keys_is_new():
    keys = dict(documented_sections())
    assert len(keys) > 150 and all(keys.values())
    text = (CONFIG / "README.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert {row.split("`")[1] for row in rows} == set(keys)
    config_docs.run(config_docs.parser().parse_args(["--check"]))


def test_stale_documentation_is_refused(tmp_path, monkeypatch):
    for name in ("README.md", "schema.json", "config.yaml", "site.yaml"):
        (tmp_path / name).write_bytes((CONFIG / name).read_bytes())
    (tmp_path / "metrics.md").write_bytes(config_docs.METRICS.read_bytes())
    monkeypatch.setattr(config_docs, "CONFIG", tmp_path)
    monkeypatch.setattr(config_docs, "METRICS", tmp_path / "metrics.md")
    check = config_docs.parser().parse_args(["--check"])
    config_docs.run(check)
    readme, paper = tmp_path / "README.md", tmp_path / "config.yaml"
    before = readme.read_text(encoding="utf-8")
    paper.write_text(paper.read_text().replace("steps: 20000", "steps: 25000"))
    with pytest.raises(UserError, match="README.md: not what its keys say; run make docs"):
        config_docs.run(check)
    config_docs.run(config_docs.parser().parse_args([]))
    assert readme.read_text(encoding="utf-8") == before.replace("| `20000` |", "| `25000` |")
    readme.write_text(before.replace("<!-- keys: site -->", "<!-- keys: site plan -->"))
    with pytest.raises(UserError, match="plan must be in one table"):
        config_docs.run(check)


def test_a_column_that_is_not_in_its_table_is_refused(tmp_path, monkeypatch):
    text = config_docs.METRICS.read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| `glcm` |"))
    path = tmp_path / "metrics.md"
    path.write_text(text.replace(f"{row}\n", ""), encoding="utf-8")
    monkeypatch.setattr(config_docs, "METRICS", path)
    with pytest.raises(UserError, match="metrics.md: not what its keys say; run make docs"):
        config_docs.run(config_docs.parser().parse_args(["--check"]))
    config_docs.run(config_docs.parser().parse_args([]))
    assert path.read_text(encoding="utf-8") == text


def test_an_editor_checks_files_by_the_schema():
    schema = json.loads((CONFIG / "schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    files = sorted(CONFIG.glob("*.yaml"))
    assert len(files) >= 4
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# yaml-language-server: $schema=schema.json\n"), path
        assert list(validator.iter_errors(yaml.safe_load(text))) == []
    for wrong in (
        {"trian": {}},
        {"train": {"setps": 3}},
        {"train": {"steps": 0}},
        {"vae": {"encoder": "pool"}},
        {"fidelity": {"flips": "exact"}},
        {"models": {"Mine": {}}},
        {"metrics": {"glcm": {"properties": 1}}},
        {"vaes": {"sd3": {"factor": 32}}},
    ):
        assert len(list(validator.iter_errors(wrong))) == 1, wrong


# files


def test_a_key_that_stands_twice_in_a_file_is_refused(tmp_path):
    mine, other = tmp_path / "mine.yaml", tmp_path / "other.yaml"
    mine.write_text("models:\n  a: {images: x}\nseed: 1\nmodels:\n  b: {images: y}\n")
    other.write_text("tables: {table_3: {rows: [a],\n  open: true, open: false}}\n")
    with pytest.raises(UserError) as raised:
        check_files([CONFIG / "config.yaml", mine, other])
    assert str(raised.value).splitlines() == [
        f"{mine}, line 4: models is there a second time (first in line 1)",
        f"{other}, line 2: tables.table_3.open is there a second time (first in line 2)",
    ]


def test_a_file_is_read_as_yaml_reads_it(tmp_path):
    assert read(CONFIG / "config.yaml") == load("config.yaml")
    path = tmp_path / "mine.yaml"
    path.write_text("# nothing yet\n")
    assert read(path) == {}
    path.write_text("base: &base {a: 1}\nmore: {<<: *base, a: 2}\n")
    assert read(path) == {"base": {"a": 1}, "more": {"a": 2}}
    for text, words in (("train: {", "mine.yaml, line "), ("- a\n", "should be a mapping of keys")):
        path.write_text(text)
        with pytest.raises(UserError, match=words):
            read(path)
    path.write_bytes("about: Größe".encode("latin-1"))
    with pytest.raises(UserError, match="mine.yaml: not UTF-8 .*; save it as UTF-8"):
        read(path)


def test_a_runs_configuration_is_told_from_ones_own_file(tmp_path):
    path = tmp_path / "config.yaml"
    with pytest.raises(UserError, match="config.yaml: not there"):
        saved(path)
    save(resolve(), path)
    assert saved(path)["run"] == "paper"
    with pytest.raises(UserError, match="weekend.yaml: not the configuration of a run, .*-- plan"):
        saved(CONFIG / "weekend.yaml")


def test_the_largest_seed_is_taken_by_what_draws():
    """Torch's generators take no more: a job would fail, after the training."""
    torch.Generator().manual_seed(resolve(seed=2**63 - 1)["seed"])
    assert limits.seed(str(2**63 - 1)) == 2**63 - 1
