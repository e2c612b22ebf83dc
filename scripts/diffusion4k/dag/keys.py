"""The slice of the configuration that a job uses, written in its rule as dotted keys.

    params:
        flags=flags(
            size=key("latents.size"),
            t5_tokens=key("backbones.{backbone}.train.t5_tokens"),
        ),

Names in braces are a job's wildcards, or follow from them: of a {model} its {backbone} and its
{recipe}, of an {evaluation} its {split}, of a {cost} its {model}, of a {vae} its
{vae_recipe} and the split that it reconstructs, of {captions} the {endpoint} that writes them, of
what is {shown} its {evaluation}; {latents.split} is the value of that key. Values end in the job's
`params` as command-line flags, so that a job runs again when, and only when, its slice has changed.

The functions carry the keys that they use in `.keys`, a tuple of alternatives each; those of
several models or VAEs (`each`) in `.of_rows`. From them a table's footer says what it depends on
(deviations.py).
"""

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from diffusion4k.config.resolve import Config
from diffusion4k.dag.flags import command_line

ABSENT = object()
# names that follow from a job's wildcards, and the key that tells each
FOLLOW = {
    "model": "efficiency.{cost}.model",
    "backbone": "models.{model}.backbone",
    "recipe": "models.{model}.recipe",
    "evaluation": "figures.{shown}.evaluation",
    "split": "evaluations.{evaluation}.split",
    "vae_recipe": "vaes.{vae}.recipe",
    "reconstructed": "vaes.{vae}.split",
    "endpoint": "captions.{captions}.endpoint",
}


def source(config: Config, name: str, known: dict[str, str]) -> str | None:
    """The key that tells a name in braces, if it is no wildcard.

    What is {shown} is a figure, or pictures for the study of people.
    """
    if name == "evaluation" and known.get("shown", "") not in {"", *config["figures"]}:
        return "people.evaluation"
    return name if "." in name else FOLLOW.get(name)


def names(config: Config, wildcards: Any) -> dict[str, str]:
    """A job's wildcards with the names that follow from them."""
    known = dict(wildcards.items()) if hasattr(wildcards, "items") else dict(vars(wildcards))
    for name in FOLLOW:
        value = look_up(config, source(config, name, known), known)
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
    return ABSENT if path is None else at(config, path)


def at(config: Config, path: tuple[str, ...]) -> Any:
    """The value at a path; ABSENT when it is not there."""
    node: Any = config
    for part in path:
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
        more = {k: v for mapping in mappings for k, v in (mapping(wildcards) or {}).items()}
        return command_line(**_worked_out(config, values, wildcards), **more)

    text.keys = _keys([*mappings, *values.values()])
    text.of_rows = [of for value in values.values() for of in getattr(value, "of_rows", ())]
    return text


def each(
    config: Config, name: str, of: Callable[[Any], Iterable[str]], **values: Any
) -> Callable[[Any], str]:
    """A flag's value, JSON: everything that `of` tells from a job's wildcards => its own values.

        each("vae", lambda w: ["sd3", "flux"], label=key("vaes.{vae}.label"), file="{vae}.json")
        {"sd3": {"label": "SD3-VAE-F16", "file": "sd3.json"}, "flux": {…}}

    Values are as those of `flags`, of the job's wildcards and {name} beside them; None is left out.
    `.of_rows` holds a function of the wildcards to what each row uses: keys, and names in braces.
    """

    def rows(wildcards) -> Iterator[tuple[str, SimpleNamespace]]:
        job = names(config, wildcards)
        yield from (
            (row, SimpleNamespace(**job | {name: row})) for row in of(SimpleNamespace(**job))
        )

    def text(wildcards):
        table = {row: _worked_out(config, values, own) for row, own in rows(wildcards)}
        given = {row: {k: v for k, v in of.items() if v is not None} for row, of in table.items()}
        return json.dumps(given)

    used = _keys(values.values())
    text.keys = _keys([of])
    text.of_rows = [lambda wildcards: [(used, names(config, own)) for _, own in rows(wildcards)]]
    return text


def _keys(values: Iterable[Any]) -> tuple[tuple[str, ...], ...]:
    return tuple(key for value in values for key in getattr(value, "keys", ()))


def _worked_out(config: Config, values: dict[str, Any], wildcards: Any) -> dict[str, Any]:
    """What the values of flags come to for a job."""
    known = names(config, wildcards)  # once for all of a job's keys

    def of(value: Any) -> Any:
        if hasattr(value, "by_names"):
            return value.by_names(known)
        if callable(value):
            return value(wildcards)
        return value.format(**known) if isinstance(value, str) else value

    return {name: of(value) for name, value in values.items()}
