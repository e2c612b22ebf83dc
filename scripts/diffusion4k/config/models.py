"""How a model comes into the tables: made here, a pipeline from elsewhere, or finished pictures.

`expand` completes the configuration, `faults` explains what is wrong with a model, one line each.
docs/your-model.md says what each kind is for.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from diffusion4k import shape
from diffusion4k.config.relations import unknown
from diffusion4k.errors import UserError

# what a model is made from -> the keys that go with it
KINDS = {
    "backbone": ("recipe", "vae", "generate"),
    "source": ("transformer", "vae", "vae_factor", "generate"),
    "pipeline": ("revision", "vae", "vae_factor", "generate"),
    "images": (),
}
COMMON = ("label", "tables", "published_as", "captions")
HUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+")
INDEX = "model_index.json"


def expand(config: dict[str, Any]) -> None:
    """In place: labels, models' rows in tables, a source for each sound `pipeline:`; the VAE of a
    backbone for its models, the split of a VAE, what a recipe of VAEs leaves out, as `sc` has it.

    A model is added to the `tables` that it names; yours that names none and stands in none, to
    those that are `open` (of finished pictures: of the evaluation that they are of). The
    source is called `model_<name>`, so that fetching, manifests and licences are those of every
    source. What is there has the types of its keys; a model that is not sound is left as it is,
    for `faults` to explain.
    """
    sources = config["sources"]
    recipes = config.get("vae_recipes", {})
    for recipe in recipes.values():
        for key, value in recipes.get("sc", {}).items():
            recipe.setdefault(key, value)
    for entry in config.get("vaes", {}).values():
        if split := config.get("reconstruction", {}).get("split"):
            entry.setdefault("split", split)
    for name, model in config.get("models", {}).items():
        model.setdefault("label", name)
        if own := config.get("backbones", {}).get(model.get("backbone"), {}).get("vae"):
            model.setdefault("vae", own)
        _add_rows(name, model, config)
        wrong = [*_kind_faults(name, model), *_pipeline_faults(name, model, sources)]
        if "pipeline" in model and not wrong:
            where = model.pop("pipeline")
            origin = {"path" if _is_here(where) else "hub": where}
            if "revision" in model:
                origin["revision"] = model.pop("revision")
            sources[f"model_{name}"] = origin
            model["source"] = f"model_{name}"


def _add_rows(name: str, model: dict[str, Any], config: dict[str, Any]) -> None:
    tables = {key: table for key, table in config.get("tables", {}).items() if "rows" in table}
    chosen = model.get("tables", ())
    if "tables" not in model and {"pipeline", "images"} & set(model):
        if any(name in table["rows"] for table in tables.values()):
            return
        chosen = [key for key, table in tables.items() if table.get("open")]
        if "images" in model:
            of = pictured(model["images"], config.get("evaluations", {}))
            chosen = [key for key in chosen if tables[key].get("evaluation") in of]
    for key in chosen:
        if key in tables and name not in tables[key]["rows"]:
            tables[key]["rows"].append(name)


def pictured(folder: str, evaluations: dict[str, Any]) -> list[str]:
    """The evaluations that a folder has pictures of: those it has a folder for, else by size.

    The sizes are those of some of the pictures; when they are nobody's, all of them, so that what
    is wrong is said when the pictures are taken.
    """
    from diffusion4k.data import shards
    from diffusion4k.images import SUFFIXES, sides

    where = Path(folder).expanduser()
    if not where.is_dir():
        return []
    if named := [name for name in evaluations if (where / name).is_dir()]:
        return named
    pictures = sorted(path for path in where.iterdir() if path.suffix.lower() in SUFFIXES)
    lengths = set()
    for picture in shards.spread(pictures, 20):
        with suppress(UserError):
            lengths.update(sides(picture))
    sized = ((name, e["size"]) for name, e in evaluations.items() if "size" in e)
    fitting = [name for name, size in sized if lengths.issuperset(shape.sides(size))]
    return fitting or list(evaluations)


def row_notes(config: dict[str, Any]) -> Iterator[str]:
    """One line for each folder of pictures that names no tables: which it is a row of."""
    for name, model in config["models"].items():
        if "images" in model and "tables" not in model:
            rows = [key for key, table in config["tables"].items() if name in table["rows"]]
            yield f"models.{name}: a row of {', '.join(rows) or 'no table'}"


def faults(config: dict[str, Any]) -> Iterator[str]:
    """One line for each mistake among the models."""
    if "reference" in config["models"]:
        yield "models.reference: the photographs' scores have that name; choose another"
    sections = {"backbone": "backbones", "recipe": "recipes"}
    sections |= {"source": "sources", "transformer": "sources", "vae": "vaes"}
    sections |= {"published_as": "models"}
    for name, model in config["models"].items():
        yield from _vae_faults(config, name, model)
        yield from _kind_faults(name, model)
        yield from _pipeline_faults(name, model, config["sources"])
        for key, section in sections.items():
            if key in model:
                yield from unknown(config, f"models.{name}.{key}", model[key], section)
        for table in model.get("tables", ()):
            yield from unknown(config, f"models.{name}.tables", table, "tables")
        if "images" in model and not Path(model["images"]).expanduser().is_dir():
            yield f"models.{name}.images: {model['images']} is no folder"
    for name, cost in config["efficiency"].items():
        if set(KINDS) & set(config["models"].get(cost["model"], ())) == {"images"}:
            yield f"efficiency.{name}.model: {cost['model']} is a folder of images, not a pipeline"


def _vae_faults(config: dict[str, Any], name: str, model: dict[str, Any]) -> Iterator[str]:
    """A fine-tuned model and its VAE must be of the same latents."""
    own = config["vaes"].get(model.get("vae"), {})
    backbone = config["backbones"].get(model.get("backbone"), {})
    recipe = config["vae_recipes"].get(own.get("recipe"), {"encoder": "trained"})
    if "recipe" in model and own and own is not config["vaes"].get(backbone.get("vae")):
        if recipe["encoder"] == "trained":
            frozen = f"; or vae_recipes.{own.get('recipe')}.encoder: frozen" * ("recipe" in own)
            yield (
                f"models.{name}.vae: {model['vae']} has an encoder of its own, so that the latents"
                f" would be others; set backbones.{model['backbone']}.vae: {model['vae']}, which"
                f" its latents and all its models then take{frozen}"
            )
        elif "vae" in backbone:
            yield (
                f"models.{name}.vae: the latents are those of backbones.{model['backbone']}.vae,"
                f" {backbone['vae']}; drop one of the two"
            )
    if "transformer" not in model and own.get("backbone", model.get("backbone")) != model.get(
        "backbone", own.get("backbone")
    ):
        yield f"models.{name}.vae: {model['vae']} is a VAE of {own['backbone']}"


def _kind_faults(name: str, model: dict[str, Any]) -> Iterator[str]:
    kinds = [kind for kind in KINDS if kind in model]
    if len(kinds) != 1:
        problem = "it has none"
        if kinds:
            problem = f"not {' and '.join(kinds)} together"
            problem += " (entries of one name are merged: choose another name for yours)"
        yield f"models.{name}: needs one of {', '.join(KINDS)}; {problem}"
        return
    for key in model:
        if key not in (*COMMON, kinds[0], *KINDS[kinds[0]]):
            yield f"models.{name}.{key}: does not go with {kinds[0]}"


def _pipeline_faults(name: str, model: dict[str, Any], sources: dict[str, Any]) -> Iterator[str]:
    if "pipeline" not in model:
        return
    where = model["pipeline"]
    key = f"models.{name}.pipeline"
    if _is_here(where):
        if not (Path(where).expanduser() / INDEX).is_file():
            yield f"{key}: {where} has no {INDEX}; give the folder of a diffusers pipeline"
        if "revision" in model:
            yield f"models.{name}.revision: {where} is a folder here; only the hub has revisions"
    elif not HUB.fullmatch(where):
        yield f"{key}: {where} is neither a folder here nor a hub repository, owner/name"
    elif Path(where).parent.is_dir():
        there = ", ".join(sorted(p.name for p in Path(where).parent.iterdir() if p.is_dir())[:10])
        yield (
            f"{key}: no folder {where}; in {Path(where).parent} are {there or 'none'}. A hub"
            " repository of that name: sources.NAME.hub, and models.NAME.source"
        )
    if f"model_{name}" in sources:
        yield f"{key}: its source would be model_{name}, which is taken; rename one of them"


def _is_here(where: str) -> bool:
    return Path(where).expanduser().exists()
