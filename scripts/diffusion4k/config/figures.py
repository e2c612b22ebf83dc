"""What is wrong with the configuration's figures and prompt sets, one line each."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from diffusion4k import shape
from diffusion4k.config.relations import unknown
from diffusion4k.data import prompts
from diffusion4k.errors import UserError
from diffusion4k.figures import kinds

Config = dict[str, Any]
# what one figure holds: matplotlib draws at most 65,536 px a side
MOST = 240
# keys of every figure
COMMON = ("kind", "title", "caption", "rows")


def faults(config: Config) -> Iterator[str]:
    """One line for each mistake among prompt sets and figures."""
    for name, entry in config["prompts"].items():
        if ("file" in entry) == ("texts" in entry):
            yield f"prompts.{name}: give either file or texts"
            continue
        try:
            prompts.of_set(entry)
        except UserError as error:
            yield f"prompts.{name}: {error}"
    for name, figure in config["figures"].items():
        kind, key = kinds.get(figure["kind"]), f"figures.{name}"
        yield from _key_faults(key, figure, kind)
        yield from _row_faults(config, key, figure, kind)
        if kind.reads == "pictures":
            yield from _prompt_faults(config, key, figure)
        yield from _size_faults(config, key, figure)
        if figure["kind"] == "gallery":
            yield from _grid_faults(config, key, figure)


def _key_faults(key: str, figure: Config, kind: kinds.Kind) -> Iterator[str]:
    for name in figure:
        if name not in (*COMMON, *kind.takes):
            takes = ", ".join(kind.takes) or "no key of its own"
            yield f"{key}.{name}: a {kind.name} takes {takes}"
    if missing := [name for name in kind.needs if name not in figure]:
        yield f"{key}: missing {', '.join(missing)}"


def _row_faults(config: Config, key: str, figure: Config, kind: kinds.Kind) -> Iterator[str]:
    first = [pair[0] for pair in config["people"]["pairs"]]
    for row in figure["rows"]:
        sections = (kind.rows, "vaes") if kind.reads == "training" else (kind.rows,)
        yield from unknown(config, f"{key}.rows", row, *sections)
        if kind.reads == "votes" and row not in first:
            yield f"{key}.rows: {row} is first of no pair in people.pairs"
        model = config["models"].get(row, {}) if kind.rows == "models" else {}
        trained = model or config["vaes"].get(row, {"recipe": 1})
        if kind.reads == "training" and "recipe" not in trained:
            yield f"{key}.rows: {row} is not trained, it has no loss curve"
        if kind.reads == "pictures" and "images" in model:
            varied = [k for k in ("prompts", "sizes", "guidance", "steps", "seeds") if k in figure]
            if varied:
                yield (
                    f"{key}.rows: {row} is a folder of pictures of an evaluation's prompts; it does"
                    f" not go with {', '.join(varied)}"
                )


def _prompt_faults(config: Config, key: str, figure: Config) -> Iterator[str]:
    if ("evaluation" in figure) == ("prompts" in figure):
        yield f"{key}: needs either evaluation or prompts"
    if "evaluation" in figure:
        yield from unknown(config, f"{key}.evaluation", figure["evaluation"], "evaluations")
        if "count" not in figure:
            yield f"{key}: missing count, how many of the evaluation's prompts it shows"
    if "prompts" in figure:
        yield from unknown(config, f"{key}.prompts", figure["prompts"], "prompts")
        if "sizes" not in figure:
            yield f"{key}: missing sizes, [height, width] in px of its pictures"


def _size_faults(config: Config, key: str, figure: Config) -> Iterator[str]:
    patch = config["metrics"]["glcm"]["patch"]
    sides = [side for pair in figure.get("sizes", ()) for side in pair]
    if not sides and figure.get("evaluation") in config["evaluations"]:
        sides = list(shape.sides(config["evaluations"][figure["evaluation"]]["size"]))
    if kinds.get(figure["kind"]).reads == "reconstructions":
        sides = [config["reconstruction"]["size"]]
    zoom = figure.get("zoom")
    if zoom and sides and not patch <= zoom <= min(sides):
        yield (
            f"{key}.zoom: {zoom} px; at least a patch of metrics.glcm, {patch}, and at most the"
            f" pictures' shortest side, {min(sides)}"
        )
    if figure.get("size", patch) < patch:
        yield f"{key}.size: smaller than a patch of metrics.glcm, {patch} px"


def _grid_faults(config: Config, key: str, figure: Config) -> Iterator[str]:
    """Of a grid that is longer or wider than a picture can be."""
    lines = figure.get("count", MOST)
    entry = config["prompts"].get(figure.get("prompts"), {})
    if ("file" in entry) != ("texts" in entry):
        with suppress(UserError):  # said of the prompts themselves
            lines = min(lines, len(prompts.of_set(entry)))
    for name in ("sizes", "guidance", "steps"):
        lines *= len(figure.get(name, [None]))
    columns = len(figure["rows"]) * len(figure.get("seeds", [None]))
    for number, what, knobs in (
        (lines * (2 if "zoom" in figure else 1), "lines", "count, sizes, guidance, steps"),
        (columns, "columns", "rows, seeds"),
    ):
        if number > MOST:
            yield f"{key}: {number} {what}, and a figure holds {MOST}; make several ({knobs})"
