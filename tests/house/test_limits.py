"""Numbers on a command line: out of their limits they are refused in one line, before any work."""

import argparse
import dataclasses
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffusion4k import limits
from diffusion4k.config.keys import models, stages
from diffusion4k.train import autoencoder_settings, settings

SCRIPTS = sorted(
    path.stem
    for path in (Path(__file__).resolve().parents[2] / "scripts").glob("*.py")
    if re.search(r"^def parser\(", path.read_text(encoding="utf-8"), re.MULTILINE)
)
# the settings that take them check them, some together with others
CHECKED = {
    "generate": {"--height", "--width"},
}
RECIPES = [settings.Settings, autoencoder_settings.AutoencoderSettings]


def options(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for of in action.choices.values():
                yield from options(of)
        else:
            yield action


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_number_of_a_script_has_limits(script):
    bare = {
        action.option_strings[0] if action.option_strings else action.dest
        for action in options(importlib.import_module(script).parser())
        if action.type in (int, float) and not action.choices
    }
    assert bare == CHECKED.get(script, set()), "give type=limits.…, or name it here no longer"


def refusal(capsys, of, *words: str) -> str:
    flags = argparse.ArgumentParser()
    flags.add_argument("--number", type=of)
    with pytest.raises(SystemExit):
        flags.parse_args(words)
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("of", "text", "words"),
    [
        (limits.count, "0", "should be at least 1, not 0"),
        (limits.count, "1.5", "invalid int value: '1.5'"),
        (limits.natural, "-1", "should be at least 0, not -1"),
        (limits.positive, "0", "should be more than 0, not 0"),
        (limits.positive, "inf", "should be a finite number, not inf"),
        (limits.finite, "nan", "should be a finite number, not nan"),
        (limits.seed, str(2**63), f"and at most {2**63 - 1}, not {2**63}"),
        (limits.seed, "1" + 400 * "0", f"and at most {2**63 - 1}, not 10"),
        (limits.side, "48", "should be at least 32 and a multiple of 32, not 48"),
        (limits.number(float, ge=0, lt=1), "1", "should be at least 0 and less than 1, not 1"),
    ],
)
def test_what_is_refused(capsys, of, text, words):
    said = refusal(capsys, of, "--number", text)
    assert "error: argument --number: " in said and words in said


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipes_numbers_are_refused_by_its_flags(capsys, recipe):
    parser = argparse.ArgumentParser()
    settings.add_arguments(parser, recipe)
    needed = {
        field.name: "1" if field.type is int else "sd3"
        for field in dataclasses.fields(recipe)
        if field.default is dataclasses.MISSING
    }
    tried = 0
    for field in dataclasses.fields(recipe):
        for limit, bound in field.metadata["within"].items():
            number = bound - 1 if limit in ("ge", "gt") else bound + 1
            words = [
                f"--{k.replace('_', '-')}={v}" for k, v in (needed | {field.name: number}).items()
            ]
            with pytest.raises(SystemExit):
                parser.parse_args(words)
            name = field.name.replace("_", "-")
            assert f"argument --{name}: should be" in capsys.readouterr().err
            tried += 1
        number = field.type in (int, float) and field.name not in settings.CHOICES
        assert bool(field.metadata["within"]) or not number, f"{field.name}: any number will do?"
    assert tried > 15


@pytest.mark.parametrize(
    ("section", "recipe"),
    [
        (stages.Training, RECIPES[0]),
        (models.BackboneTraining, RECIPES[0]),
        (models.Recipe, RECIPES[0]),
        (stages.VaeTraining, RECIPES[1]),
        (models.VaeRecipe, RECIPES[1]),
    ],
)
def test_a_key_has_its_flags_limits(section, recipe):
    within = {field.name: field.metadata["within"] for field in dataclasses.fields(recipe)}
    for name, key in section.model_fields.items():
        found = {
            k: getattr(one, k) for one in key.metadata for k in limits.HOLDS if hasattr(one, k)
        }
        if name in within and name != "band_weights":
            assert found == within[name], name
