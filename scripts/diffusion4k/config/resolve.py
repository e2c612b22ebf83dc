"""The configuration: resolved once, checked strictly, before any job exists.

`resolve` turns what Snakemake merged from config files and the command line into the complete
configuration: sources narrowed to one origin each, models expanded, fidelity rows applied, every
key known.
config/schema.yaml holds the shape, this module the relations between keys.
"""

import os
from collections.abc import Iterator
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from diffusion4k import backbones
from diffusion4k.config import fidelity, models
from diffusion4k.errors import UserError
from diffusion4k.metrics import families

Config = dict[str, Any]

# Where a source can come from, the winner first: what you have beats what is made or fetched.
ORIGINS = ("path", "make", "url", "hub")
_COMPANIONS = {
    "path": ("sha256",),
    "make": ("options",),
    "url": ("sha256",),
    "hub": ("type", "revision", "gated", "only", "ignore"),
}


def resolve(raw: Config, schema: str | Path) -> Config:
    """The complete, checked configuration; UserError with one line a fault otherwise."""
    config = deepcopy(raw)
    if isinstance(config.get("sources"), dict):
        config["sources"] = {k: _one_origin(v) for k, v in config["sources"].items()}
    models.expand(config)
    choice = config.get("fidelity", fidelity.PUBLISHED)
    if choice not in (fidelity.PUBLISHED, fidelity.CORRECTED) and not isinstance(choice, dict):
        raise UserError(f"config: fidelity: {choice!r} is neither published, corrected nor rows")
    fidelity.apply(config)
    with Path(schema).open(encoding="utf-8") as handle:
        validator = Draft202012Validator(yaml.safe_load(handle))
    faults = [line for error in validator.iter_errors(config) for line in _explain(error)]
    faults = faults or list(_relations(config))
    if faults:
        raise UserError("\n".join(f"config: {fault}" for fault in dict.fromkeys(faults)))
    return config


def save(config: Config, path: str | Path) -> None:
    """Write the resolved configuration beside its results, when it differs from what is there."""
    from diffusion4k.files import write_text

    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)
    if not Path(path).is_file() or Path(path).read_text(encoding="utf-8") != text:
        write_text(path, text)


def origin(source: Config) -> str:
    """Which of ORIGINS a resolved source has."""
    return next(key for key in ORIGINS if key in source)


def hub_token() -> bool:
    """Whether a Hugging Face token is set or stored, by the hub's own rules; never its value."""
    stored = os.environ.get("HF_TOKEN_PATH")
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    return (
        bool(os.environ.get("HF_TOKEN")) or Path(stored or f"{home}/token").expanduser().is_file()
    )


def hub_offline() -> bool:
    """Whether the hub's client is told to stay offline, and takes what its cache holds."""
    told = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return told.upper() in ("1", "ON", "YES", "TRUE")


def _one_origin(source: Any) -> Any:
    """Keep the winning origin and the keys that belong to it; an unknown key stays, to be named."""
    found = [key for key in ORIGINS if isinstance(source, dict) and key in source]
    if not found:
        return source
    drop = set(found[1:]) | {c for key in found[1:] for c in _COMPANIONS[key]}
    drop -= set(_COMPANIONS[found[0]])
    return {key: value for key, value in source.items() if key not in drop}


def _explain(error: ValidationError) -> Iterator[str]:
    """A schema fault as `key: what is wrong`, without the schema's own vocabulary."""
    where = ".".join(map(str, error.absolute_path)) or "top level"
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        for key in error.instance:
            if key not in known:
                near = get_close_matches(str(key), known, 1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
                yield f"{where}: unknown key {key!r}; {hint}"
    elif error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        yield f"{where}: missing {', '.join(missing)}"
    elif error.validator == "type":
        yield f"{where}: {error.instance!r} is not of type {error.validator_value}"
    elif error.validator == "multipleOf":
        yield f"{where}: {error.instance} is not a multiple of {error.validator_value} (pixels)"
    elif error.validator == "enum":
        choices = ", ".join(map(str, error.validator_value))
        yield f"{where}: {error.instance!r} is not one of {choices}"
    elif error.validator == "pattern" and "description" in error.schema:
        yield f"{where}: {error.instance!r}: {error.schema['description']}"
    else:
        yield f"{where}: {error.message}"


def _relations(config: Config) -> Iterator[str]:
    def known(where: str, name: str, section: str, *more: str) -> Iterator[str]:
        names = [key for part in (section, *more) for key in config[part]]
        if name not in names:
            yield f"{where}: no {section} entry {name!r}; there are {', '.join(names)}"

    for name, source in config["sources"].items():
        if not any(key in source for key in ORIGINS):
            yield f"sources.{name}: needs one of {', '.join(ORIGINS)}"
        elif "path" in source and not Path(source["path"]).expanduser().exists():
            yield f"sources.{name}.path: {source['path']} does not exist"
        if name == "inception_clean" and not {"make", "sha256"} & set(source):
            yield f"sources.{name}: needs sha256; the file is a program and runs only when it fits"
    for name, split in config["splits"].items():
        yield from known(f"splits.{name}.source", split["source"], "sources")
    for name, evaluation in config["evaluations"].items():
        yield from known(f"evaluations.{name}.split", evaluation["split"], "splits")
    for name, backbone in config["backbones"].items():
        yield from known(f"backbones.{name}.source", backbone["source"], "sources")
        train = backbone["train"]
        if max(train["gpus"], 1) % train["nodes"]:
            yield (
                f"backbones.{name}.train.nodes: {train['gpus']} GPUs cannot be spread evenly over"
                f" {train['nodes']} nodes"
            )
        share = train["micro_batch"] * max(train["gpus"], 1)
        if train["global_batch"] % share:
            yield (
                f"backbones.{name}.train.global_batch: {train['global_batch']} is not a multiple"
                f" of micro_batch x gpus = {share}"
            )
    yield from _optimizer_faults(config)
    for section in ("latents", "reconstruction"):
        yield from known(f"{section}.split", config[section]["split"], "splits")
    yield from models.faults(config, known)
    yield from models.recipe_faults(config)
    slot = config["resources"]["train"]["runtime"]
    slot = min(slot, config["site"].get("max_runtime", slot))
    if config["train"]["time_margin"] >= slot:
        yield (
            f"train.time_margin: {config['train']['time_margin']} minutes leave nothing of a"
            f" training job's {slot} (resources.train.runtime, site.max_runtime)"
        )
    for step in config["train"]["keep"]:
        if step % config["train"]["segment"] or step > config["train"]["steps"]:
            yield f"train.keep: no segment ends at step {step}"
    yield from _metric_relations(config, known)
    yield from _table_relations(config, known)
    for name, figure in config["figures"].items():
        section = {"histogram": "splits", "reconstruction": "vaes"}.get(figure["kind"], "models")
        for row in figure["rows"]:
            yield from known(f"figures.{name}.rows", row, section)
            if figure["kind"] == "curves" and "recipe" not in config["models"].get(row, {}):
                yield f"figures.{name}.rows: {row} is not trained, it has no loss curve"
        if figure["kind"] == "gallery":
            yield from known(
                f"figures.{name}.evaluation", figure.get("evaluation", ""), "evaluations"
            )
        if "zoom" in figure:
            yield from _zoom_faults(f"figures.{name}.zoom", figure, config["evaluations"])


def _optimizer_faults(config: Config) -> Iterator[str]:
    """What the trainer would refuse, or bitsandbytes get wrong without a word."""
    train = config["train"]
    if train["offload_optimizer"] and not train["zero_stage"]:
        yield "train.offload_optimizer: only ZeRO offloads; set train.zero_stage: 2, or it to false"
    if train["optimizer"] == "adamw_8bit" and train["offload_optimizer"]:
        yield "train.optimizer: adamw_8bit stays on the GPU; set train.offload_optimizer: false"
    elif train["optimizer"] == "adamw_8bit" and train["zero_stage"]:
        # ZeRO hands it one tensor, whose length bitsandbytes passes on as a 32-bit integer
        for name, backbone in config["backbones"].items():
            count = backbones.get(name).architecture.parameters
            weights = count / max(backbone["train"]["gpus"], 1)
            if weights >= 2**31:
                yield (
                    f"backbones.{name}.train.gpus: adamw_8bit takes up to 2^31 weights at once, and"
                    f" ZeRO would hand it {weights:.2g}; use more GPUs, or train.zero_stage: 0"
                )


def _zoom_faults(key: str, figure: Config, evaluations: Config) -> Iterator[str]:
    if figure["kind"] != "gallery":
        yield f"{key}: only a gallery has pictures to zoom into, this is a {figure['kind']}"
        return
    zoom, size = figure["zoom"], evaluations.get(figure.get("evaluation"), {}).get("size")
    if size and max(zoom["top"], zoom["left"]) + zoom["size"] > size:
        yield f"{key}: the square leaves pictures of {size} px"


def _table_relations(config: Config, known) -> Iterator[str]:
    for name, table in config["tables"].items():
        every, kinds = families.columns(), set()
        for column in table["columns"]:
            if column not in every:
                near = get_close_matches(column, every, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(every)}"
                yield f"tables.{name}.columns: no column {column!r}; {hint}"
            else:
                kinds.add(every[column][0].name)
        if kinds & set(families.generated()):
            yield from known(
                f"tables.{name}.evaluation", table.get("evaluation", ""), "evaluations"
            )
        if table.get("context") and "evaluation" not in table:
            yield f"tables.{name}.context: others published by evaluation, and this table has none"
        section = "models"
        if "reconstruction" in kinds:
            section = "vaes"
        elif "sizes" in kinds:
            section = "splits"
        elif "efficiency" in kinds:
            section = "efficiency"
        for row in table["rows"]:
            if "correlation" in kinds:
                if row not in families.rated():
                    rated = ", ".join(families.rated())
                    yield f"tables.{name}.rows: {row!r} is none of the rated metrics {rated}"
                continue
            yield from known(f"tables.{name}.rows", row, section, "unavailable")
            if "training" in kinds and "recipe" not in config["models"].get(row, {"recipe": 1}):
                yield f"tables.{name}.rows: {row} is not trained; give it a recipe or drop the row"
        if section == "models":
            yield from _twice(name, table["rows"], config["models"])
        for pair in table.get("against", {}).items():
            for row in pair:
                yield from known(f"tables.{name}.against", row, "models")
        if "quality" in kinds:
            for network in sorted({"musiq", "maniqa"} - set(config["sources"])):
                yield (
                    f"tables.{name}: needs pyiqa's weights of {network}, which are never"
                    f" downloaded; give sources.{network}.path"
                )


def _twice(table: str, rows: list[str], entries: Config) -> Iterator[str]:
    """Rows that a reader could not tell apart."""
    first: dict[str, str] = {}
    for row in rows:
        label = entries[row]["label"] if row in entries else row
        other = first.setdefault(label, row)
        if other != row:
            yield (
                f"tables.{table}.rows: {other} and {row} are both called {label}; change"
                f" models.{row}.label"
            )


def _metric_relations(config: Config, known) -> Iterator[str]:
    for name, cost in config["efficiency"].items():
        yield from known(f"efficiency.{name}.model", cost["model"], "models")
        kinds = {*models.KINDS} & set(config["models"].get(cost["model"], {}))
        if kinds == {"images"}:
            yield f"efficiency.{name}.model: {cost['model']} is a folder of images, not a pipeline"
    for name, vae in config["vaes"].items():
        yield from known(f"vaes.{name}.source", vae["source"], "sources")
    for where, entry in [
        *((f"evaluations.{name}", e) for name, e in config["evaluations"].items()),
        ("reconstruction", config["reconstruction"]),
    ]:
        if entry["crop"] > entry["size"]:
            yield f"{where}.crop: {entry['crop']} px do not fit its images of {entry['size']} px"
    glcm = config["metrics"]["glcm"]
    smallest = min(evaluation["size"] for evaluation in config["evaluations"].values())
    if not max(glcm["distances"]) < glcm["patch"] <= smallest:
        yield (
            f"metrics.glcm: distances {glcm['distances']} must fit into a patch of {glcm['patch']}"
            f" px, and that into the smallest pictures, {smallest} px"
        )
    if ratings := config.get("ratings"):
        yield from known("ratings.evaluation", ratings["evaluation"], "evaluations")
        for model in ratings["models"]:
            yield from known("ratings.models", model, "models")
        if not Path(ratings["path"]).expanduser().is_file():
            yield f"ratings.path: {ratings['path']} does not exist"
