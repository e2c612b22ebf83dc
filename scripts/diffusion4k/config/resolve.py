"""The configuration: resolved once, checked strictly, before any job exists.

`resolve` turns what Snakemake merged from config files and the command line into the complete
configuration: sources narrowed to one origin each, models expanded, fidelity rows applied. What a
key is stands in diffusion4k/config/keys, what keys are to each other in relations.py, models.py,
figures.py, training.py and claims.py.
"""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from diffusion4k import shape
from diffusion4k.config import (
    claims,
    endpoints,
    fidelity,
    figures,
    models,
    relations,
    training,
)
from diffusion4k.config.keys.data import ORIGINS
from diffusion4k.config.keys.faults import faults
from diffusion4k.config.layers import respelled, spelled
from diffusion4k.errors import UserError

Config = dict[str, Any]
# libyaml's where PyYAML was built with it: a tenth of the time, of every start of Snakemake
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# origin of a source -> the keys that go with it
_COMPANIONS = {
    "path": ("sha256",),
    "make": ("options",),
    "url": ("sha256",),
    "by_hand": (),
    "hub": ("type", "revision", "gated", "only", "ignore"),
}


def resolve(raw: Config) -> Config:
    """The complete, checked configuration; UserError with one line a fault otherwise.

    Values are those given, in the given order, and an optional key that is not set stays absent:
    a default that appeared, or 7 as 7.0, would change the flags of jobs, and run them again
    (`merged` sees that a 7 of the user's does not).
    """
    config = deepcopy(raw)
    # what is there first, so that what completes it can rely on its types
    _refuse(faults(config, complete=False))
    sources = config.get("sources", {})
    config["sources"] = {name: _one_origin(source) for name, source in sources.items()}
    for entry in (*config.get("evaluations", {}).values(), config.get("latents", {})):
        _one_size(entry)
    train = config.get("train", {})
    for own in (backbone.get("train", {}) for backbone in config.get("backbones", {}).values()):
        own |= {key: spelled(own[key], [train[key]]) for key in own.keys() & train.keys()}
    models.expand(config)
    fidelity.apply(config)
    _refuse(faults(config, complete=True))
    of = (relations, models, figures, endpoints, training, claims)
    _refuse(fault for module in of for fault in module.faults(config))
    return config


def merged(own: Config, files: Iterable[Path], defaults: Iterable[Path], folder: Path) -> Config:
    """The defaults, on top of them the file of `folder` that `own` may name as base, then `own`.

    A base may have one itself. own: what the user gave, in `files` and on the command line. A
    number that equals the one below it stays as that is written: 1 in place of 1.0 is no other
    training. UserError for a base that is no file, or that rests on itself.
    """
    from snakemake.utils import update_config

    layers, bases = [own], []
    while "base" in layers[0]:
        bases.insert(0, base := folder / f"{layers[0]['base']}.yaml")
        if not base.is_file():
            names = sorted(path.stem for path in folder.glob("*.yaml") if path.stem != "site")
            raise UserError(
                f"config: base: no {base}; there are {', '.join(names)}"
                " (another run's results are taken by reuse: RUN)"
            )
        if base in bases[1:]:
            raise UserError(f"config: base: {base} rests on itself")
        layers.insert(0, read(base))
    below, found = [*map(read, defaults), *layers[:-1]], {}
    for layer in (*below, respelled(own, [*below, *map(read, files)])):
        update_config(found, deepcopy(layer))
    return found


def save(config: Config, path: str | Path) -> None:
    """Write the resolved configuration beside its results, when it differs from what is there."""
    from diffusion4k.files import write_text

    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)
    if not Path(path).is_file() or Path(path).read_text(encoding="utf-8") != text:
        write_text(path, text)


def saved(path: str | Path) -> Config:
    """A run's configuration as `save` left it; UserError where there is none, or none resolved."""
    if not Path(path).is_file():
        raise UserError(f"{path}: not there; Snakemake writes it, results/<run>/config.yaml")
    config = read(path)
    if not config.keys() >= {"run", "plan", "sources", "backbones", "resources"}:
        raise UserError(
            f"{path}: not the configuration of a run, which is results/<run>/config.yaml; for one's"
            f" own file: snakemake --cores 1 --configfile {path} -- plan (or doctor)"
        )
    return config


def read(path: str | Path) -> Config:
    """A YAML file's mapping; UserError for a key that stands there twice, and for what is no YAML.

    Snakemake's own reader takes the last of two equal keys and drops the first without a word.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        lines = repeated(text)
        content = yaml.load(text, Loader=LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise UserError(f"{where}: {getattr(error, 'problem', None) or 'no YAML'}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from None
    if lines:
        raise UserError("\n".join(f"{path}, {line}" for line in lines))
    if not isinstance(content, dict | None):
        raise UserError(f"{path}: should be a mapping of keys, as config/config.yaml is")
    return content or {}


def repeated(text: str) -> list[str]:
    """A line for each key that stands twice in YAML, at whatever depth; YAMLError if it is none."""
    root = yaml.compose(text, Loader=LOADER)
    return list(_repeated(root)) if root else []


def check_files(paths: Iterable[str | Path]) -> None:
    """Read each of the files that Snakemake was given; UserError with a line a fault of any."""
    faults = []
    for path in paths:
        try:
            read(path)
        except UserError as error:
            faults.append(str(error))
    if faults:
        raise UserError("\n".join(faults))


def origin(source: Config) -> str:
    """Which of ORIGINS a resolved source has."""
    return next(key for key in ORIGINS if key in source)


def _refuse(lines: Iterable[str]) -> None:
    if unique := dict.fromkeys(lines):
        raise UserError("\n".join(f"config: {line}" for line in unique))


def _one_origin(source: Config) -> Config:
    """Keep the winning origin and the keys that belong to it."""
    winner, *losers = [key for key in ORIGINS if key in source]
    drop = set(losers) | {key for loser in losers for key in _COMPANIONS[loser]}
    drop -= set(_COMPANIONS[winner])
    return {key: value for key, value in source.items() if key not in drop}


def _one_size(entry: Config) -> None:
    """Keep of height, width and size the size alone, which is a number for a square."""
    if "height" in entry:
        entry["size"] = [entry.pop("height"), entry.pop("width")]
    if isinstance(entry.get("size"), list):
        size = shape.simple(entry["size"])
        entry["size"] = size if isinstance(size, int) else list(size)


def _repeated(node: yaml.Node, place: tuple[str, ...] = ()) -> Iterator[str]:
    """A line for each key that a mapping below `node` has twice."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item, place)
    if not isinstance(node, yaml.MappingNode):
        return
    lines: dict[str, int] = {}
    for key, value in node.value:
        line, name = key.start_mark.line + 1, str(key.value)
        if name in lines:
            full = ".".join((*place, name))
            yield f"line {line}: {full} is there a second time (first in line {lines[name]})"
        lines.setdefault(name, line)
        yield from _repeated(value, (*place, name))
