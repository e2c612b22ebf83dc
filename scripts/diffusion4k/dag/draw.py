"""Pictures that are drawn for what shows them alone: a figure, or people who are asked about them.

Some pictures of a benchmark, where the benchmark has thousands, and the same bytes. What shows them
is a figure, by its name, or `people-<model>`: what rating kits and the judge ask about of a model.
"""

import hashlib
import json

from diffusion4k import shape
from diffusion4k.config.resolve import Config
from diffusion4k.dag import generate
from diffusion4k.dag.generate import kernel, pipeline
from diffusion4k.dag.paths import file, shards
from diffusion4k.data import prompts
from diffusion4k.figures import kinds
from diffusion4k.shape import Size

PEOPLE = "people-"


def showing(config: Config) -> list[str]:
    """Everything that pictures are drawn for."""
    of_figures = [
        n for n, f in config["figures"].items() if kinds.get(f["kind"]).reads == "pictures"
    ]
    return [*of_figures, *(PEOPLE + model for model in generate.sampled(config))]


def entry(config: Config, name: str) -> Config:
    """What is shown: rows, evaluation or prompts, and how many of them, as figures have it."""
    if name in config["figures"]:
        return config["figures"][name]
    study = config["people"]
    choice = {"evaluation": study["evaluation"], "count": study["prompts"], "spread": True}
    evaluation = config["evaluations"][study["evaluation"]]
    in_split = config["splits"][evaluation["split"]].get("count", 0)
    # as many pictures a job as the benchmark has
    jobs = -(-evaluation["shards"] * min(study["prompts"], in_split) // in_split) if in_split else 1
    return {"rows": [name.removeprefix(PEOPLE)], "shards": jobs} | choice


def sampled(config: Config, name: str) -> list[str]:
    """The rows whose pictures are drawn; the others are folders of pictures."""
    return [row for row in entry(config, name)["rows"] if row in generate.sampled(config)]


def drawn(config: Config, name: str) -> list[str]:
    """All shards of the pictures."""
    return shards(config, f"pictures/{name}/shard", entry(config, name).get("shards", 1))


def prompt_set(config: Config, name: str) -> str:
    """The manifest of a set of prompts."""
    return file(config, f"prompts/{name}.json")


def prompt_digest(config: Config, name: str) -> str:
    """What changes with a set's prompts; its file is no input, since a touch changes none."""
    listed = [(prompt.id, prompt.text) for prompt in prompts.of_set(config["prompts"][name])]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:16]


def dataset(config: Config, name: str, model: str | None = None) -> str:
    """The manifest with the prompts, as a model has them: of a data set, or of a prompt set."""
    shown = entry(config, name)
    if "prompts" in shown:
        return prompt_set(config, shown["prompts"])
    return generate.dataset(config, shown["evaluation"], model)


def folder(config: Config, name: str) -> str:
    """Where in it they are."""
    if evaluation := entry(config, name).get("evaluation"):
        return config["splits"][config["evaluations"][evaluation]["split"]]["folder"]
    return "."


def sizes(config: Config, name: str) -> list[list[int]]:
    """[height, width] in px of the pictures."""
    shown = entry(config, name)
    if "sizes" in shown:
        return shown["sizes"]
    return [list(shape.sides(config["evaluations"][shown["evaluation"]]["size"]))]


def in_turn(config: Config, name: str) -> bool:
    """Whether a prompt has one of the sizes, and not each of them."""
    return "kind" in (shown := entry(config, name)) and kinds.get(shown["kind"]).in_turn


def prompts_shown(config: Config, name: str) -> int:
    """How many prompts there are pictures of, a row."""
    shown = entry(config, name)
    if "prompts" in shown:
        return len(prompts.of_set(config["prompts"][shown["prompts"]])[: shown.get("count")])
    split = config["splits"][config["evaluations"][shown["evaluation"]]["split"]]
    return min(shown["count"], split.get("count", shown["count"]))


def count(config: Config, name: str) -> int:
    """How many pictures are drawn."""
    varied = 1 if in_turn(config, name) else len(sizes(config, name))
    for knob in ("guidance", "steps", "seeds"):
        varied *= len(entry(config, name).get(knob, [None]))
    return len(sampled(config, name)) * prompts_shown(config, name) * varied


def height_x_width(sizes: list[Size] | Size) -> list[str]:
    """Sizes in px as the flag has them, HEIGHTxWIDTH: a figure's, or the one of an evaluation."""
    many = isinstance(sizes, list) and not isinstance(sizes[0], int)
    return [f"{h}x{w}" for h, w in map(shape.sides, sizes if many else [sizes])]


def as_list(seeds: list[int] | int) -> list[int]:
    """The seeds of a figure, or the one of the run."""
    return seeds if isinstance(seeds, list) else [seeds]


def unless_varied(value: list | float | None) -> float | None:
    """What a row has of its own; nothing where the figure varies it, whose flag has the values."""
    return None if isinstance(value, list) else value


def own_prompts(config: Config, name: str, model: str) -> str | None:
    """The manifest of a row's prompts, where they are not those of the others."""
    own = dataset(config, name, model)
    return own if own != dataset(config, name) else None


def of_class(config: Config, name: str) -> str | None:
    """How the classes of rows are sampled of which only their pipelines' files tell the class."""
    rows = (generate.of_class(config, row) for row in sampled(config, name))
    return next(filter(None, rows), None)


def inputs(config: Config, name: str) -> list[str]:
    """What the pictures are drawn from: pipelines, prompts."""
    rows = sampled(config, name)
    read = [*(pipeline(config, row) for row in rows), dataset(config, name)]
    read += [dataset(config, name, row) for row in rows]
    return list(dict.fromkeys([*read, *filter(None, [kernel(config)])]))
