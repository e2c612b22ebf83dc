"""Figures: which pictures are drawn for them, what they read, how their rows are called.

Most of a figure follows from its kind (figures/kinds). What it shows of a benchmark is drawn for it
alone: some pictures, where the benchmark has thousands.
"""

import hashlib
import json
from typing import Any

from diffusion4k import shape
from diffusion4k.config.resolve import Config
from diffusion4k.dag import code, data, generate, keys, paper, people, sources, train, vae
from diffusion4k.dag.flags import command_line
from diffusion4k.dag.paths import file, root, shards
from diffusion4k.data import prompts
from diffusion4k.figures import kinds
from diffusion4k.figures.kinds import Kind

FORMS = ("json", "png", "pdf")
# what a model's own section says of sampling, else its backbone's
SAMPLING = ("steps", "guidance", "t5_tokens", "vae_tiling")


def manifests(config: Config, names) -> list[str]:
    """The manifests of figures."""
    return [f"{root(config)}/figures/{name}.json" for name in names]


def files(config: Config, names) -> list[str]:
    """All that a reader may open of figures, their manifests first."""
    return [f"{root(config)}/figures/{name}.{form}" for name in names for form in FORMS]


def kind(config: Config, figure: str) -> Kind:
    """A figure's kind."""
    return kinds.get(config["figures"][figure]["kind"])


def reading(config: Config, what: str) -> list[str]:
    """The figures whose kind reads `what`."""
    return [name for name in config["figures"] if kind(config, name).reads == what]


def digest(config: Config, figure: str) -> str:
    """Of the code that draws a figure, its own kind's and no other's."""
    return code.of("figure.py", modules=(kinds.module(kind(config, figure).name),))


# prompts


def prompt_set(config: Config, name: str) -> str:
    """The manifest of a prompt set."""
    return file(config, f"prompts/{name}.json")


def prompt_flags(config: Config, name: str) -> str:
    """The flags of scripts/prompts.py."""
    entry = config["prompts"][name]
    return command_line(file=entry.get("file"), texts=entry.get("texts"))


def prompt_digest(config: Config, name: str) -> str:
    """What changes with a set's prompts; its file is no input, since a touch changes none."""
    listed = [(one.id, one.text) for one in prompts.of_set(config["prompts"][name])]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:16]


# pictures that are drawn for a figure


def sampled(config: Config, figure: str) -> list[str]:
    """The rows of a figure whose pictures are drawn; the others are folders of pictures."""
    return [row for row in config["figures"][figure]["rows"] if row in generate.sampled(config)]


def drawn(config: Config, figure: str) -> list[str]:
    """All shards of the pictures that are drawn for a figure."""
    entry = config["figures"][figure]
    return shards(config, f"pictures/{figure}/shard", entry.get("shards", 1))


def rebuilt(config: Config, figure: str) -> str:
    """The photographs that go through VAEs for a figure."""
    return file(config, f"pictures/{figure}/rebuilt.json")


def dataset(config: Config, figure: str) -> str:
    """The manifest with a figure's prompts: of a data set, or of a set of prompts."""
    entry = config["figures"][figure]
    if "prompts" in entry:
        return prompt_set(config, entry["prompts"])
    return generate.dataset(config, entry["evaluation"])


def folder(config: Config, figure: str) -> str:
    """Where in it they are."""
    if evaluation := config["figures"][figure].get("evaluation"):
        return config["splits"][config["evaluations"][evaluation]["split"]]["folder"]
    return "."


def sizes(config: Config, figure: str) -> list[list[int]]:
    """[height, width] in px of a figure's pictures."""
    entry = config["figures"][figure]
    if "sizes" in entry:
        return entry["sizes"]
    return [list(shape.sides(config["evaluations"][entry["evaluation"]]["size"]))]


def count(config: Config, figure: str) -> int:
    """How many pictures are drawn for a figure."""
    entry = config["figures"][figure]
    each = entry.get("count")
    if "prompts" in entry:
        each = len(prompts.of_set(config["prompts"][entry["prompts"]])[:each])
    varied = 1 if kind(config, figure).in_turn else len(sizes(config, figure))
    for name in ("guidance", "steps", "seeds"):
        varied *= len(entry.get(name, [None]))
    return len(sampled(config, figure)) * each * varied


def draw_inputs(config: Config, figure: str) -> list[str]:
    """What a figure's pictures are drawn from: pipelines, prompts."""
    rows = sampled(config, figure)
    return [*(generate.pipeline(config, row) for row in rows), dataset(config, figure)]


def draw_flags(config: Config, figure: str) -> str:
    """The flags of scripts/draw.py that are the figure's and its rows'."""
    entry = config["figures"][figure]
    rows = {row: _row(config, row) for row in sampled(config, figure)}
    return command_line(
        rows=json.dumps(rows),
        of_class=next(filter(None, (generate.of_class(config, row) for row in rows)), None),
        dataset=dataset(config, figure),
        folder=folder(config, figure),
        count=entry.get("count"),
        sizes=[f"{height}x{width}" for height, width in sizes(config, figure)],
        guidance=entry.get("guidance"),
        steps=entry.get("steps"),
        seeds=entry.get("seeds", [config["seed"]]),
        in_turn=kind(config, figure).in_turn,
    )


def _row(config: Config, model: str) -> dict[str, Any]:
    """A model's pipeline, and what of sampling it, or else its backbone, has of its own."""
    known = keys.names(config, {"model": model})
    row = {"model": generate.pipeline(config, model)}
    for name in SAMPLING:
        paths = (f"models.{{model}}.generate.{name}", f"backbones.{{backbone}}.generate.{name}")
        values = (keys.look_up(config, path, known) for path in paths)
        row[name] = next((value for value in values if value is not keys.ABSENT), None)
    row["vae_factor"] = config["models"][model].get("vae_factor")
    return {name: value for name, value in row.items() if value is not None}


def rebuild_inputs(config: Config, figure: str) -> list[str]:
    """The sources of a figure's VAEs, and the photographs'."""
    rows = config["figures"][figure]["rows"]
    of_vaes = dict.fromkeys(vae.manifest(config, row) for row in rows)
    return [*of_vaes, sources.of_split(config, _rebuilt_split(config, figure))]


def _rebuilt_split(config: Config, figure: str) -> str:
    """The split whose photographs a figure shows: that of its first VAE."""
    return config["vaes"][config["figures"][figure]["rows"][0]]["split"]


def rebuild_flags(config: Config, figure: str) -> str:
    """The flags of scripts/rebuild.py."""
    entry, settings = config["figures"][figure], config["reconstruction"]
    rows, split = {}, _rebuilt_split(config, figure)
    for row in entry["rows"]:
        own = config["vae"] | config["vaes"][row]
        form = {name: own[name] for name in ("factor", "encoder", "decoder") if name in own}
        rows[row] = {"vae": vae.manifest(config, row)} | form
    return command_line(
        rows=json.dumps(rows),
        dataset=sources.of_split(config, split),
        folder=config["splits"][split]["folder"],
        size=settings["size"],
        count=entry["count"],
        vae_tiling=settings["vae_tiling"],
        tf32=settings["tf32"],
    )


# the figure itself


def rows(config: Config, figure: str) -> list[tuple[str, str]]:
    """(ROW, manifest) for everything that a figure shows."""
    entry, reads = config["figures"][figure], kind(config, figure).reads

    if reads == "votes":
        return [
            (pair, path)
            for pair in people.compared(config, entry["rows"])
            for path in people.votes(config)
        ]

    def of(row: str) -> list[str]:
        if reads == "pictures" and row in generate.brought(config):
            return generate.manifests(config, row, entry["evaluation"])
        return {
            "pictures": lambda: drawn(config, figure),
            "reconstructions": lambda: [rebuilt(config, figure)],
            "photographs": lambda: [sources.of_split(config, row)],
            "check": lambda: [data.checked(config, row)],
            "training": lambda: [_trained(config, row)],
        }[reads]()

    of_rows = entry["rows"]
    if reads == "reconstructions":
        of_rows = ["photograph", *of_rows]
    return [(row, path) for row in of_rows for path in of(row)]


def _trained(config: Config, row: str) -> str:
    """The manifest of the end of a model's training, or of a VAE's."""
    if row in config["models"]:
        return train.last_step(config, row)
    return vae.last(config, row)


def reference(config: Config, figure: str) -> str | None:
    """The data set of the photographs that a figure shows beside pictures."""
    evaluation = config["figures"][figure].get("evaluation")
    return generate.dataset(config, evaluation) if evaluation else None


def inputs(config: Config, figure: str) -> list[str]:
    """Every manifest that a figure reads."""
    read = [path for _, path in rows(config, figure)]
    return list(dict.fromkeys([*read, *filter(None, [reference(config, figure)])]))


def spec(config: Config, figure: str, footer: list[str]) -> str:
    """What a figure shows, as JSON: title, caption, labels, its kind's settings, footer."""
    entry, of = config["figures"][figure], kind(config, figure)
    settings = {name: entry[name] for name in of.takes if name in entry}
    if of.reads == "votes":
        own = {"title": entry["title"], "footer": footer}
        return json.dumps(own | people.figure(config, entry["rows"]))
    if of.reads == "photographs":
        settings["folders"] = {row: config["splits"][row]["folder"] for row in entry["rows"]}
    if "zoom" in entry or of.reads == "photographs":
        settings["glcm"] = config["metrics"]["glcm"]
    caption = [entry.get("caption")]
    if "prompts" in entry:
        caption.append(f"Prompts: {config['prompts'][entry['prompts']]['label']}.")
    return json.dumps(
        {
            "title": entry["title"],
            "caption": " ".join(filter(None, caption)),
            "labels": {row: label(config, figure, row) for row in entry["rows"]},
            "settings": settings,
            "footer": footer,
        }
    )


def label(config: Config, figure: str, row: str) -> str:
    """What a row is called; models carry their size where all pictures have one."""
    entry = config["figures"][figure]
    if "prompts" in entry or "sizes" in entry:
        return config["models"][row]["label"]
    return paper.label(config, row, entry.get("evaluation"))


def flags(config: Config, figure: str, footer: list[str]) -> str:
    """The flags of scripts/figure.py; `footer`: what of its settings is not as in the paper."""
    shown = reference(config, figure)
    return command_line(
        spec=spec(config, figure, footer),
        rows=[f"{row}={path}" for row, path in rows(config, figure)] or None,
        reference=shown,
        folder=folder(config, figure) if shown else None,
    )
