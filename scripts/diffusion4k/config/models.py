"""How a model comes into the tables: made here, a pipeline from elsewhere, or finished pictures.

`expand` runs before the configuration is checked, `faults` explains what is wrong with a model in
one line each. config/README.md and docs/your-model.md say what each kind is for.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from diffusion4k.errors import UserError

# what a model is made from -> the keys that go with it
KINDS = {
    "backbone": ("recipe", "generate"),
    "source": ("transformer", "vae_factor", "generate"),
    "pipeline": ("revision", "vae_factor", "generate"),
    "images": (),
}
HUB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+")
INDEX = "model_index.json"


def expand(config: dict[str, Any]) -> None:
    """In place: labels, models' rows in tables, a source for each sound `pipeline:`.

    A model is added to the `tables` that it names; yours that names none and stands in none, to
    those that are `open` (of finished pictures: of the evaluation that they are of). The
    source is called `model_<name>`, so that fetching, manifests and licences are those of every
    source. What is not sound is left as it is, for `faults` to explain.
    """
    models, sources = config.get("models"), config.get("sources")
    if not isinstance(models, dict) or not isinstance(sources, dict):
        return
    for name, model in models.items():
        if not isinstance(model, dict):
            continue
        model.setdefault("label", name)
        _add_rows(name, model, config)
        wrong = [*_kind_faults(name, model), *_pipeline_faults(name, model, sources)]
        where = model.get("pipeline")
        if isinstance(where, str) and not wrong:
            del model["pipeline"]
            origin = {"path" if _is_here(where) else "hub": where}
            if "revision" in model:
                origin["revision"] = model.pop("revision")
            sources[f"model_{name}"] = origin
            model["source"] = f"model_{name}"


def _add_rows(name: str, model: dict[str, Any], config: dict[str, Any]) -> None:
    tables = config.get("tables")
    if not isinstance(tables, dict):
        return
    sound = {k: t for k, t in tables.items() if isinstance(t, dict)}
    sound = {k: t for k, t in sound.items() if isinstance(t.get("rows"), list)}
    named = model.get("tables")
    if "tables" not in model and {"pipeline", "images"} & set(model):
        if any(name in table["rows"] for table in sound.values()):
            return
        named = [k for k, table in sound.items() if table.get("open")]
        if isinstance(model.get("images"), str):
            of = pictured(model["images"], config.get("evaluations"))
            named = [k for k in named if tables[k].get("evaluation") in of]
    for table in named if isinstance(named, list) else ():
        if table in sound and name not in tables[table]["rows"]:
            tables[table]["rows"].append(name)


def pictured(folder: str, evaluations: Any) -> list[str]:
    """The evaluations that a folder has pictures of: those it has a folder for, else by size.

    The sizes are those of some of the pictures; when they are nobody's, all of them, so that what
    is wrong is told when the pictures are taken.
    """
    from diffusion4k import cli
    from diffusion4k.images import SUFFIXES, sides

    where = Path(folder).expanduser()
    if not isinstance(evaluations, dict) or not where.is_dir():
        return []
    if named := [name for name in evaluations if (where / name).is_dir()]:
        return named
    pictures = sorted(path for path in where.iterdir() if path.suffix.lower() in SUFFIXES)
    found = set()
    for picture in cli.spread(pictures, 20):
        with suppress(UserError):
            found.update(sides(picture))
    sizes = {name: e.get("size") for name, e in evaluations.items() if isinstance(e, dict)}
    return [name for name, size in sizes.items() if size in found] or list(evaluations)


def told(config: dict[str, Any]) -> Iterator[str]:
    """One line for each model that names no tables: which it is a row of."""
    for name, model in config["models"].items():
        if "images" in model and "tables" not in model:
            rows = [key for key, table in config["tables"].items() if name in table["rows"]]
            yield f"models.{name}: a row of {', '.join(rows) or 'no table'}"


def faults(config: dict[str, Any], known: Callable[..., Iterator[str]]) -> Iterator[str]:
    """One line for each mistake among the models; `known` checks a name against a section."""
    if "reference" in config["models"]:
        yield "models.reference: the photographs' scores have that name; choose another"
    for name, model in config["models"].items():
        yield from _kind_faults(name, model)
        yield from _pipeline_faults(name, model, config["sources"])
        sections = {"backbone": "backbones", "recipe": "recipes"}
        sections |= {"source": "sources", "transformer": "sources"}
        for key, section in sections.items():
            if key in model:
                yield from known(f"models.{name}.{key}", model[key], section)
        for table in model.get("tables", ()):
            yield from known(f"models.{name}.tables", table, "tables")
        if "images" in model and not Path(model["images"]).expanduser().is_dir():
            yield f"models.{name}.images: {model['images']} is no folder"


def recipe_faults(config: dict[str, Any]) -> Iterator[str]:
    """One line for each mistake of a recipe that its training would stop at."""
    latent = config["latents"]["size"] // 16
    for name, recipe in config["recipes"].items():
        levels, weights = recipe["levels"], recipe["band_weights"]
        if recipe["wavelet"] != "haar":
            import pywt

            if recipe["wavelet"] not in pywt.wavelist(kind="discrete"):
                yield (
                    f"recipes.{name}.wavelet: {recipe['wavelet']!r} is no discrete wavelet of"
                    " PyWavelets; haar, db2 and sym4 are"
                )
        if latent < 2**levels:
            yield f"recipes.{name}.levels: {levels} do not fit latents of {latent} x {latent}"
        elif len(weights) not in (4, 1 + 3 * levels):
            count = " or ".join(map(str, sorted({4, 1 + 3 * levels})))
            yield (
                f"recipes.{name}.band_weights: {len(weights)} weights for {levels} levels; give"
                f" {count} (LL, then LH, HL, HH of each level, coarse to fine)"
            )
        if recipe["objective"] == "velocity" and len(set(weights)) > 1:
            yield (
                f"recipes.{name}.band_weights: the objective velocity has no bands; choose"
                " wavelet_velocity, or leave all weights 1"
            )
        if not any(weights):
            yield f"recipes.{name}.band_weights: all are zero, there would be no loss"


def _kind_faults(name: str, model: dict[str, Any]) -> Iterator[str]:
    kinds = [kind for kind in KINDS if kind in model]
    if len(kinds) != 1:
        found = "it has none"
        if kinds:
            found = f"not {' and '.join(kinds)} together"
            found += " (entries of one name are merged: choose another name for yours)"
        yield f"models.{name}: needs one of {', '.join(KINDS)}; {found}"
        return
    for key in model:
        if key not in ("label", "tables", kinds[0], *KINDS[kinds[0]]):
            yield f"models.{name}.{key}: does not go with {kinds[0]}"


def _pipeline_faults(name: str, model: dict[str, Any], sources: dict[str, Any]) -> Iterator[str]:
    where = model.get("pipeline")
    if not isinstance(where, str):
        return
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
