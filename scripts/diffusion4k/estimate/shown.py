"""What it costs to show pictures: to draw a figure's, to ask people and models about some."""

from diffusion4k.backbones.architecture import VAE
from diffusion4k.config.resolve import Config, origin
from diffusion4k.dag import draw as drawing
from diffusion4k.dag import people
from diffusion4k.estimate import flops
from diffusion4k.estimate.basis import (
    JPEG,
    Cost,
    Key,
    captions_of,
    convolutions,
    model_of,
    picture,
    px,
    split_of,
    vae_of,
)
from diffusion4k.sources.miniature import architectures as miniature


def photographs(config: Config, split: str) -> Cost:
    """A figure of a data set's photographs reads its source, and nothing else."""
    count, source = split_of(config, split)
    return Cost(
        ("photographs", split), 0, count, needs=captions_of(config, split), sources=(source,)
    )


def shapes(config: Config, name: str) -> list[dict[str, int]]:
    """height and width of each picture of one row of what shows them, a seed."""
    sizes, prompts = drawing.sizes(config, name), drawing.prompts_shown(config, name)
    if drawing.in_turn(config, name):
        return [px(sizes[number % len(sizes)]) for number in range(prompts)]
    return [px(size) for size in sizes] * prompts


def by_row(config: Config, name: str) -> dict[str, float]:
    """row => FLOPs of all its pictures that are drawn for a figure or a study."""
    entry, each = drawing.entry(config, name), {}
    for row in drawing.sampled(config, name):
        own, model = 0.0, config["models"][row]
        for guidance in entry.get("guidance", [None]):
            for steps in entry.get("steps", [None]):
                given = {"guidance": guidance, "steps": steps}
                given = {knob: value for knob, value in given.items() if value is not None}
                varied = model | {"generate": model.get("generate", {}) | given}
                own += sum(picture(config, varied, shape) for shape in shapes(config, name))
        each[row] = own * len(entry.get("seeds", [None]))
    return each


def draw(config: Config, name: str) -> Cost:
    """The pictures of a figure, or those of one model that people are asked about."""
    entry, rows = drawing.entry(config, name), drawing.sampled(config, name)
    needs, read = [], []
    for row in rows:
        waits, own = model_of(config, row)
        needs, read = [*needs, *waits], [*read, *own]
    if "evaluation" in entry:
        split = config["evaluations"][entry["evaluation"]]["split"]
        read.append(split_of(config, split)[1])
        needs += [key for row in [None, *rows] for key in captions_of(config, split, row)]
    count, of_row = drawing.count(config, name), shapes(config, name)
    pixels = sum(shape["height"] * shape["width"] for shape in of_row) / max(len(of_row), 1)
    return Cost(
        ("draw", name),
        jobs=len(drawing.drawn(config, name)),
        images=count,
        flops=sum(by_row(config, name).values()),
        gpus=1,
        gb=count * pixels * 3 / JPEG / 1e9,
        needs=tuple(dict.fromkeys(needs)),
        sources=tuple(dict.fromkeys(read)),
    )


def rebuild(config: Config, figure: str) -> Cost:
    """A figure's photographs through its VAEs."""
    entry, side = config["figures"][figure], config["reconstruction"]["size"]
    _, source = split_of(config, config["vaes"][entry["rows"][0]]["split"])
    needs, read, total = [], [source], 0.0
    for row in entry["rows"]:
        own = config["vae"] | {"factor": 16} | config["vaes"][row]
        pipeline = own.get("source") or config["backbones"][own["backbone"]]["source"]
        network = miniature.VAE if origin(config["sources"][pipeline]) == "make" else VAE
        shape = {"height": side, "width": side, "factor": own["factor"]}
        total += flops.encode(network, **shape)
        total += flops.decode(network, **shape, form=own["decoder"])
        waits, of_vae = vae_of(config, row)
        needs, read = [*needs, *waits], [*read, *of_vae]
    return Cost(
        ("rebuild", figure),
        jobs=1,
        images=len(entry["rows"]) * entry["count"],
        flops=entry["count"] * total,
        gpus=1,
        needs=tuple(dict.fromkeys(needs)),
        sources=tuple(dict.fromkeys(read)),
        precision=convolutions("float32", tf32=config["reconstruction"]["tf32"]),
    )


def kit(config: Config, purpose: str) -> Cost:
    """The page that asks people about pictures."""
    shown = len(people.groups(config, purpose)) * _prompts(config)
    each = 2 if purpose == "pairs" else 1
    return Cost(("kit", purpose), 1, each * shown, needs=_pictures(config, purpose))


def judge(config: Config) -> Cost:
    """A model's verdicts: each pair in both orders."""
    calls = 2 * len(config["people"]["pairs"]) * _prompts(config)
    return Cost(
        ("judge",),
        jobs=1,
        images=calls,
        needs=_pictures(config, "pairs"),
        calls=calls,
        max_cost=config["judge"]["max_cost"],
    )


def caption(config: Config, captions: str, split: str) -> Cost:
    """Captions of a split's images; no file is read, so that its own count as asked for."""
    count, source = split_of(config, split)
    entry = config["captions"][captions]
    calls = count if "endpoint" in entry else 0
    limit = entry.get("max_cost", 0.0)
    return Cost(
        ("caption", captions, split), 1, count, sources=(source,), calls=calls, max_cost=limit
    )


def _prompts(config: Config) -> int:
    """How many of its evaluation's prompts a study shows."""
    study = config["people"]
    count, _ = split_of(config, config["evaluations"][study["evaluation"]]["split"])
    return min(study["prompts"], count or study["prompts"])


def _pictures(config: Config, purpose: str) -> tuple[Key, ...]:
    """What draws the pictures that people, or a judge, are asked about."""
    evaluation = config["people"]["evaluation"]
    return tuple(
        ("generate", model, evaluation)
        if "images" in config["models"][model]
        else ("draw", f"{drawing.PEOPLE}{model}")
        for model in people.models(config, purpose)
    )
