"""What the configuration takes, the script takes that a rule hands it to."""

import argparse
import importlib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from configs import ROOT
from diffusion4k.config import keys
from diffusion4k.dag import keys as slices
from diffusion4k.endpoints import flags as endpoint_flags

SCHEMA = json.loads((ROOT / "config/schema.json").read_text("utf-8"))
LARGE = 10**6  # of a number without a limit above


# what stands in brackets, up to the fourth within each other
BRACKETS = r"\([^()]*\)"
for _ in range(3):
    BRACKETS = rf"\((?:[^()]|{BRACKETS})*\)"


def rules() -> Iterator[tuple[str, str]]:
    """(script, text) of each rule that calls one with flags."""
    for file in sorted((ROOT / "rules").glob("*.smk")):
        for rule in re.split(r"\n(?= *(?:rule|for) )", file.read_text("utf-8")):
            if script := re.search(r"scripts/(\w+)\.py [^\n]*\{", rule):
                yield script[1], rule


def handed() -> Iterator[tuple[str, str, str]]:
    """(script, flag, key) of each flag of a rule that is a key as it stands."""
    for script, rule in rules():
        given = re.findall(rf"\bflags{BRACKETS}", re.sub(rf"\beach{BRACKETS}", "", rule))
        for flag, words in re.findall(r"(\w+)=key\(([^()]*)\)", "".join(given)):
            if "then=" not in words:
                for key in re.findall(r'"([^"]+)"', words):
                    yield script, "--" + flag.replace("_", "-"), key


def of_key(key: str) -> dict[str, Any]:
    """The schema at a dotted key; names in braces are any entry's."""
    node = SCHEMA
    for part in slices._parts(key):
        node = resolved(node)
        node = node.get("properties", {}).get(part) or first(node["patternProperties"])
    return resolved(node)


def first(entries: dict[str, Any]) -> dict[str, Any]:
    return next(iter(entries.values()))


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    return node | SCHEMA["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def extremes(schema: dict[str, Any]) -> Iterator[Any]:
    """Values at the borders of what a key takes; of a text without choices none."""
    if "enum" in schema:
        yield from schema["enum"]
    elif "items" in schema:
        yield from extremes(resolved(schema["items"]))
    elif schema.get("type") in ("integer", "number"):
        multiple, tiny = schema.get("multipleOf", 1), 1 if schema["type"] == "integer" else 1e-9
        least = schema.get("minimum", schema.get("exclusiveMinimum", -LARGE) + tiny)
        most = schema.get("maximum", schema.get("exclusiveMaximum", LARGE * multiple + tiny) - tiny)
        yield from (least, most)


CASES = sorted(set(handed()))


def test_there_are_such_flags():
    assert len(CASES) > 90
    assert ("latents", "--dtype", "latents.dtype") in CASES
    assert ("generate", "--steps", "backbones.{backbone}.generate.steps") in CASES
    assert list(extremes(of_key("backbones.{backbone}.train.t5_tokens"))) == [1, 512]


@pytest.mark.parametrize(("script", "flag", "key"), CASES)
def test_a_script_takes_what_its_key_may_be(script, flag, key):
    action = importlib.import_module(script).parser()._option_string_actions[flag]
    if isinstance(action, argparse.BooleanOptionalAction):
        assert of_key(key)["type"] == "boolean"
        return
    for value in extremes(of_key(key)):
        taken = action.type(str(value)) if action.type else value
        assert action.choices is None or taken in action.choices, value


def test_rows_have_what_their_script_takes_of_one():
    of_rows = {
        script: re.findall(r"\n {16}(\w+)=", each)
        for script, rule in rules()
        for each in re.findall(rf"\beach{BRACKETS}", rule)
    }
    assert of_rows.keys() == {"draw", "rebuild"}
    assert {*of_rows["draw"]} == {*importlib.import_module("draw").OWN}
    assert {*keys.models.ModelSampling.model_fields} <= {*of_rows["draw"]}
    assert {*of_rows["rebuild"]} == {"vae", *importlib.import_module("rebuild").FORM}


def test_an_endpoint_by_hand_is_the_configurations():
    """Its keys have defaults of their own; those of its flags are the same."""
    parser = argparse.ArgumentParser()
    endpoint_flags.add(parser)
    for name, key in keys.endpoints.Endpoint.model_fields.items():
        if not key.is_required():
            assert parser.get_default(name) == key.default, name
