"""What keys of the configuration are to each other: a name has an entry, a size fits another.

What makes a model is in models.py, a figure in figures.py, what the trainer would refuse in
training.py.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from diffusion4k.config.keys.cluster import STEPS
from diffusion4k.endpoints import prompts
from diffusion4k.metrics import families
from diffusion4k.people import answers
from diffusion4k.shape import sides, text

Config = dict[str, Any]


def faults(config: Config) -> Iterator[str]:
    """One line for each key that does not go with another."""
    if config.get("reuse") == config["run"]:
        yield f"reuse: {config['run']} is this run; give it a name of its own, run: mine"
    yield from _data_faults(config)
    yield from _training_faults(config)
    yield from _measured_faults(config)
    yield from _people_faults(config)
    for name, table in config["tables"].items():
        yield from _table_faults(config, name, table)
    for name in config.get("targets", []):
        yield from unknown(config, "targets", name, "tables", "figures")
    if missing := [step for step in STEPS if step not in config["resources"]]:
        yield f"resources: missing {', '.join(missing)}"


def backbone_names() -> tuple[str, ...]:
    """The backbones that can be trained."""
    from diffusion4k import backbones

    return backbones.NAMES


def unknown(config: Config, key: str, name: str, *sections: str) -> Iterator[str]:
    """A line about `key` when the name that it gives is in none of the sections."""
    names = [entry for section in sections for entry in config[section]]
    if name not in names:
        yield f"{key}: no {sections[0]} entry {name!r}; there are {', '.join(names)}"


def _data_faults(config: Config) -> Iterator[str]:
    for name, source in config["sources"].items():
        if "path" in source and not Path(source["path"]).expanduser().exists():
            yield f"sources.{name}.path: {source['path']} does not exist"
        if name == "inception_clean" and not {"make", "sha256"} & set(source):
            yield f"sources.{name}: needs sha256; the file is a program and runs only when it fits"
    for section in ("splits", "backbones"):
        for name, entry in config[section].items():
            yield from unknown(config, f"{section}.{name}.source", entry["source"], "sources")
    for name, split in config["splits"].items():
        if "count" not in split and split.get("captioned", True):
            yield f"splits.{name}: missing count, the number of images of an intact copy"
    yield from _vae_faults(config)
    pictures = {f"evaluations.{name}": e for name, e in config["evaluations"].items()}
    pictures["reconstruction"] = config["reconstruction"]
    for key, entry in pictures.items():
        yield from unknown(config, f"{key}.split", entry["split"], "splits")
        if entry["crop"] > min(sides(entry["size"])):
            size = text(entry["size"])
            yield f"{key}.crop: {entry['crop']} px do not fit its images of {size} px"
    pictures["latents"] = config["latents"]
    for key, entry in pictures.items():
        if config["splits"].get(entry["split"], {}).get("captioned", True) is False:
            yield f"{key}.split: {entry['split']} has no captions; it can only train VAEs"
    yield from unknown(config, "latents.split", config["latents"]["split"], "splits")


def _vae_faults(config: Config) -> Iterator[str]:
    sections = {"source": "sources", "backbone": "backbones", "recipe": "vae_recipes"}
    sections |= {"split": "splits"}
    for name, entry in config["vaes"].items():
        origin = set(entry) & {"source", "backbone", "recipe"}
        if origin not in ({"source"}, {"backbone", "recipe"}):
            yield f"vaes.{name}: needs a source, or a backbone with a recipe (of vae_recipes)"
        if "recipe" in entry and entry.get("factor", 16) != 16:
            yield f"vaes.{name}.factor: a VAE that is trained here is F16"
        if not config["splits"].get(entry["split"], {}).get("captioned", True):
            yield f"vaes.{name}.split: {entry['split']} has no captions; it can only train VAEs"
        for key, section in sections.items():
            if key in entry:
                yield from unknown(config, f"vaes.{name}.{key}", entry[key], section)
    for name, backbone in config["backbones"].items():
        if "vae" in backbone:
            yield from unknown(config, f"backbones.{name}.vae", backbone["vae"], "vaes")
    training = config["vae_training"]
    yield from unknown(config, "vae_training.split", training["split"], "splits")
    count = config["splits"].get(training["split"], {}).get("count")
    if count is not None and training["held_out"] >= count:
        yield (
            f"vae_training.held_out: {training['held_out']} of {count} images ({training['split']})"
            " leave none to train on; give less"
        )


def _training_faults(config: Config) -> Iterator[str]:
    known = backbone_names()
    worlds = {"vae_training": config["vae_training"]}
    for name, backbone in config["backbones"].items():
        if name not in known:
            yield f"backbones.{name}: no such backbone; there are {', '.join(known)}"
        worlds[f"backbones.{name}.train"] = backbone["train"]
    for key, own in worlds.items():
        gpus, nodes = own["gpus"], own["nodes"]
        if max(gpus, 1) % nodes:
            yield f"{key}.nodes: {gpus} GPUs cannot be spread evenly over {nodes} nodes"
    for job, section in (("train", "train"), ("train_vae", "vae_training")):
        margin = config["train"]["time_margin"]
        homes = {f"resources.{job}.runtime": config["resources"].get(job, {}).get("runtime")}
        if job == "train":
            homes |= {
                f"backbones.{name}.train.resources.runtime": minutes
                for name, backbone in config["backbones"].items()
                if (minutes := backbone["train"].get("resources", {}).get("runtime"))
            }
        for key, minutes in homes.items():
            slot = minutes and min(minutes, config["site"].get("max_runtime", minutes))
            if slot and margin >= slot:
                yield (
                    f"train.time_margin: {margin} minutes leave nothing of a training job's"
                    f" {slot} ({key}, site.max_runtime)"
                )
        own = config[section]
        for step in own["keep"]:
            if step % own["segment"] or step > own["steps"]:
                yield f"{section}.keep: no segment ends at step {step}"


def _measured_faults(config: Config) -> Iterator[str]:
    for name, cost in config["efficiency"].items():
        yield from unknown(config, f"efficiency.{name}.model", cost["model"], "models")
    glcm = config["metrics"]["glcm"]
    evaluated = (min(sides(e["size"])) for e in config["evaluations"].values())
    smallest = min(evaluated, default=glcm["patch"])
    if not max(glcm["distances"]) < glcm["patch"] <= smallest:
        yield (
            f"metrics.glcm: distances {glcm['distances']} must fit into a patch of {glcm['patch']}"
            f" px, and that into the smallest pictures, {smallest} px"
        )


def _people_faults(config: Config) -> Iterator[str]:
    study = config["people"]
    yield from unknown(config, "people.evaluation", study["evaluation"], "evaluations")
    for model in dict.fromkeys([*(m for pair in study["pairs"] for m in pair), *study["rated"]]):
        yield from unknown(config, "people.pairs, people.rated", model, "models")
    split = config["evaluations"].get(study["evaluation"], {}).get("split")
    general = config["splits"].get(split, {}).get("captions")
    seen: list[set[str]] = []
    for pair in study["pairs"]:
        if len(set(pair)) < 2 or set(pair) in seen:
            yield f"people.pairs: {' and '.join(pair)}: give two models, each pair once"
        of = [config["models"].get(model, {}).get("captions", general) for model in pair]
        if len(set(of)) > 1:
            first, second = (f"captions.{name}" if name else "the evaluation's" for name in of)
            yield (
                f"people.pairs: {' and '.join(pair)}: drawn from other texts ({first}, {second}),"
                " so that none can be shown with both; pair models of the same captions"
            )
        seen.append(set(pair))
    if ratings := config.get("ratings"):
        yield from unknown(config, "ratings.evaluation", ratings["evaluation"], "evaluations")
        for model in ratings["models"]:
            yield from unknown(config, "ratings.models", model, "models")
        yield from _file_faults("ratings.path", ratings["path"])
        files = (path for paths in answers.files(ratings["path"]).values() for path in paths)
        if ratings["evaluation"] != study["evaluation"] and any(map(answers.of_kit, files)):
            yield (
                f"ratings.evaluation: the kit shows pictures of {study['evaluation']}"
                " (people.evaluation), so its answers are on these"
            )
    if votes := config.get("votes"):
        yield from _file_faults("votes", votes)


def _file_faults(key: str, given: str | list[str]) -> Iterator[str]:
    """A line for each path or pattern that is of no file, or of one that can be no input."""
    for pattern, paths in answers.files(given).items():
        if not paths:
            yield f"{key}: {pattern} does not exist"
        for path in paths:
            if {"{", "}"} & set(str(path)):
                yield f"{key}: {path}: Snakemake takes braces for a pattern; move or rename it"


def _table_faults(config: Config, name: str, table: Config) -> Iterator[str]:
    key = f"tables.{name}"
    if table.get("kind") == "prompts":
        for row in table["rows"]:
            if not prompts.path(row).is_file():
                yield f"{key}.rows: {prompts.path(row)} does not exist"
        return
    known, kinds = families.columns(), {}
    for column in table["columns"]:
        if column in known:
            kinds[known[column][0].name] = known[column][0]
        else:
            near = get_close_matches(column, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            yield f"{key}.columns: no column {column!r}; {hint}"
    for column in table.get("tolerance", {}):
        if column not in known:
            yield f"{key}.tolerance: no column {column!r} in any table"
    if not table["rows"] and not table.get("context"):
        yield f"{key}: neither rows nor context; it would be empty"
    if table["rows"] and any(family.generated for family in kinds.values()):
        evaluation = table.get("evaluation", "")
        yield from unknown(config, f"{key}.evaluation", evaluation, "evaluations")
    if table.get("context") and "evaluation" not in table:
        yield f"{key}.context: others published by evaluation, and this table has none"
    section = next((f.rows for f in kinds.values() if f.rows != "models"), "models")
    for row in table["rows"]:
        if section == "ratings":
            if row not in families.rated():
                rated = ", ".join(families.rated())
                yield f"{key}.rows: {row!r} is none of the rated metrics {rated}"
            continue
        yield from unknown(config, f"{key}.rows", row, section, "unavailable")
        if "training" in kinds and "recipe" not in config["models"].get(row, {"recipe": 1}):
            yield f"{key}.rows: {row} is not trained; give it a recipe or drop the row"
    if section == "models":
        yield from _equal_labels(key, table["rows"], config["models"])
    for pair in table.get("against", {}).items():
        if len(set(pair)) == 1:
            yield f"{key}.against: {pair[0]} against itself; name another model"
        for row in pair:
            yield from unknown(config, f"{key}.against", row, "models")
    needed = {network for f in kinds.values() for network in {*f.networks} - {*f.optional}}
    for network in sorted(needed - set(config["sources"])) if table["rows"] else ():
        yield f"{key}: no source has the weights of {network}; give sources.{network}.path"


def _equal_labels(key: str, rows: list[str], models: Config) -> Iterator[str]:
    """Rows that a reader could not tell apart."""
    first: dict[str, str] = {}
    for row in rows:
        label = models[row]["label"] if row in models else row
        other = first.setdefault(label, row)
        if other != row:
            yield (
                f"{key}.rows: {other} and {row} are both called {label}; change models.{row}.label"
            )
