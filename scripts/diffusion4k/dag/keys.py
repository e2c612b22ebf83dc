"""The slice of the configuration that a job uses, written in its rule as dotted keys.

    params:
        flags=flags(
            size=key("latents.size"),
            t5_tokens=key("backbones.{backbone}.train.t5_tokens"),
        ),

Names in braces are a job's wildcards, or follow from them: of a {model} its {backbone} and its
{recipe}, of an {evaluation} its {split}, of a {cost} its {model}. Values end in the job's `params`
as command-line flags, so that a job runs again when, and only when, its slice has changed.
"""

import re
from collections.abc import Callable
from typing import Any

from diffusion4k.config.resolve import Config
from diffusion4k.dag.flags import command_line

ABSENT = object()


def names(config: Config, wildcards: Any) -> dict[str, str]:
    """A job's wildcards with the names that follow from them."""
    known = dict(wildcards.items()) if hasattr(wildcards, "items") else dict(vars(wildcards))
    if "cost" in known:
        known["model"] = config["efficiency"][known["cost"]]["model"]
    model = config["models"].get(known.get("model"), {})
    known |= {name: model[name] for name in ("backbone", "recipe") if name in model}
    if "evaluation" in known:
        known["split"] = config["evaluations"][known["evaluation"]]["split"]
    return known


def look_up(config: Config, path: str, known: dict[str, str]) -> Any:
    """The value at a dotted path; ABSENT when a name in it is not known or a key is not there."""
    node: Any = config
    for part in path.split("."):
        if name := re.fullmatch(r"{(\w+)}", part):
            part = known.get(name[1], ABSENT)
        if not isinstance(node, dict) or part not in node:
            return ABSENT
        node = node[part]
    return node


def key(config: Config, *paths: str) -> Callable[[Any], Any]:
    """A function of a job's wildcards to the value of the first of these keys that is there.

    None when there is none of them: an optional key that nobody set, and so a flag left out.
    """

    def value(wildcards):
        known = names(config, wildcards)
        values = (look_up(config, path, known) for path in paths)
        return next((v for v in values if v is not ABSENT), None)

    value.keys = paths
    return value


def flags(config: Config, *mappings: Callable, **values: Any) -> Callable[[Any], str]:
    """A function of a job's wildcards to its command-line flags, in the order given.

    A value is a function of the wildcards (`key` makes one), or a text with names in braces, or
    stands for itself. `mappings` are functions to further flags, name: value.
    """

    def text(wildcards):
        known = names(config, wildcards)

        def of(value: Any) -> Any:
            if callable(value):
                return value(wildcards)
            return value.format(**known) if isinstance(value, str) else value

        more = {k: v for mapping in mappings for k, v in (mapping(wildcards) or {}).items()}
        return command_line(**{name: of(value) for name, value in values.items()}, **more)

    text.keys = tuple(k for v in (*mappings, *values.values()) for k in getattr(v, "keys", ()))
    return text
