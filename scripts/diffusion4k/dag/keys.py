"""The slice of the configuration that a job uses, written in its rule as dotted keys.

    params:
        flags=flags(
            size=key("latents.size"),
            t5_tokens=key("backbones.{backbone}.train.t5_tokens"),
        ),

Names in braces are a job's wildcards, or follow from them: of a {model} its {backbone} and its
{recipe}, of an {evaluation} its {split}, of a {cost} its {model}, of a {vae} its
{vae_recipe} and the split that it reconstructs, of {captions} the {endpoint} that writes them;
{latents.split} is the value of
that key. Values end in the job's `params` as command-line flags, so that a job runs again when, and
only when, its slice has changed. The functions carry the keys that they use in `.keys`, a tuple of
alternatives each: footers of tables say from them what a table depends on (deviations.py).
"""

import functools
import re
from collections.abc import Callable
from typing import Any

from diffusion4k.config.resolve import Config
from diffusion4k.dag.flags import command_line

ABSENT = object()
# names that follow from a job's wildcards, and the key that tells each
FOLLOW = {
    "model": "efficiency.{cost}.model",
    "backbone": "models.{model}.backbone",
    "recipe": "models.{model}.recipe",
    "split": "evaluations.{evaluation}.split",
    "vae_recipe": "vaes.{vae}.recipe",
    "reconstructed": "vaes.{vae}.split",
    "endpoint": "captions.{captions}.endpoint",
}


def names(config: Config, wildcards: Any) -> dict[str, str]:
    """A job's wildcards with the names that follow from them."""
    known = dict(wildcards.items()) if hasattr(wildcards, "items") else dict(vars(wildcards))
    for name, pattern in FOLLOW.items():
        value = look_up(config, pattern, known)
        if value is not ABSENT:
            known[name] = value
    return known


def braces(pattern: str) -> list[str]:
    """The names in braces of a dotted path."""
    return re.findall(r"{([^}]*)}", pattern)


def filled(config: Config, pattern: str, known: dict[str, str]) -> tuple[str, ...] | None:
    """The names on the way to a key, those in braces filled in; None when one is not known."""
    parts: list[str] = []
    for part in _parts(pattern):
        if part.startswith("{"):
            name = part[1:-1]
            part = look_up(config, name, known) if "." in name else known.get(name, ABSENT)
        if part is ABSENT:
            return None
        parts.append(part)
    return tuple(parts)


@functools.cache
def _parts(pattern: str) -> tuple[str, ...]:
    return tuple(re.findall(r"{[^}]*}|[^.]+", pattern))


def look_up(config: Config, pattern: str, known: dict[str, str]) -> Any:
    """The value at a dotted path; ABSENT when a name in it is not known or a key is not there."""
    path = filled(config, pattern, known)
    node: Any = ABSENT if path is None else config
    for part in path or ():
        if not isinstance(node, dict) or part not in node:
            return ABSENT
        node = node[part]
    return node


def key(
    config: Config, *paths: str, then: Callable[[Any], Any] = lambda value: value
) -> Callable[[Any], Any]:
    """A function of a job's wildcards to the value of the first of these keys that is there.

    None when there is none of them: an optional key that nobody set, and so a flag left out.
    `then` makes of it what the flag wants.
    """

    def by_names(known: dict[str, str]):
        values = (look_up(config, path, known) for path in paths)
        return then(next((v for v in values if v is not ABSENT), None))

    def value(wildcards):
        return by_names(names(config, wildcards))

    value.keys, value.by_names = (paths,), by_names
    return value


def in_and_out(price: dict[str, float] | None) -> list[float] | None:
    """An endpoint's price as its flag takes it."""
    return price and [price["input"], price["output"]]


def pace(interval: int | dict[str, float]) -> int | str:
    """`save_every` of the configuration as the trainer's flag has it: 250, or 30min."""
    return f"{interval['minutes']:g}min" if isinstance(interval, dict) else interval


def flags(config: Config, *mappings: Callable, **values: Any) -> Callable[[Any], str]:
    """A function of a job's wildcards to its command-line flags, in the order given.

    A value is a function of the wildcards (`key` makes one), or a text with names in braces, or
    stands for itself. `mappings` are functions to further flags, name: value.
    """

    def text(wildcards):
        known = names(config, wildcards)

        def of(value: Any) -> Any:
            if hasattr(value, "by_names"):  # a key: a job's names are looked up once
                return value.by_names(known)
            if callable(value):
                return value(wildcards)
            return value.format(**known) if isinstance(value, str) else value

        more = {k: v for mapping in mappings for k, v in (mapping(wildcards) or {}).items()}
        return command_line(**{name: of(value) for name, value in values.items()}, **more)

    text.keys = tuple(k for v in (*mappings, *values.values()) for k in getattr(v, "keys", ()))
    return text
