"""Figures: what they read, what they are made from, how their rows are called.

Most of a figure follows from its kind (figures/kinds); its pictures are drawn for it (draw.py).
"""

import json

from diffusion4k.config.resolve import Config
from diffusion4k.dag import code, data, draw, generate, paper, people, sources, train, vae
from diffusion4k.dag.paths import file, root
from diffusion4k.dag.vae import manifest as vae_manifest
from diffusion4k.figures import kinds
from diffusion4k.figures.kinds import Kind

FORMS = ("json", "png", "pdf", "tex")


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


# photographs that go through VAEs for a figure


def rebuilt(config: Config, figure: str) -> str:
    """The photographs that go through VAEs for a figure."""
    return file(config, f"pictures/{figure}/rebuilt.json")


def rebuild_inputs(config: Config, figure: str) -> list[str]:
    """The sources of a figure's VAEs, and the photographs'."""
    rows = config["figures"][figure]["rows"]
    of_vaes = dict.fromkeys(vae_manifest(config, row) for row in rows)
    return [*of_vaes, photographs(config, figure)]


def photographs(config: Config, figure: str) -> str:
    """The data set whose photographs go through a figure's VAEs: that of the first of them."""
    return sources.of_split(config, _split(config, figure))


def photograph_folder(config: Config, figure: str) -> str:
    """Where in it they are."""
    return config["splits"][_split(config, figure)]["folder"]


def _split(config: Config, figure: str) -> str:
    return config["vaes"][config["figures"][figure]["rows"][0]]["split"]


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
            "pictures": lambda: draw.drawn(config, figure),
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


def reference_folder(config: Config, figure: str) -> str | None:
    """Where in that data set the photographs are."""
    return draw.folder(config, figure) if reference(config, figure) else None
