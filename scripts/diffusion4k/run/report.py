"""The report and its gallery: what they read, and which pictures the gallery shows."""

import json
from pathlib import Path
from typing import Any

from diffusion4k import shape
from diffusion4k.config import fidelity
from diffusion4k.config.resolve import Config
from diffusion4k.dag import claims, code, deviations, figures, generate, paper, train, vae
from diffusion4k.dag.paper import scored
from diffusion4k.dag.paths import root
from diffusion4k.estimate import cost
from diffusion4k.metrics import families

# what a run costs as the work grows, by the FLOP model or as measured (benchmarks/scaling.py)
SCALING = "benchmarks/results/scaling-simulated.json"
TEMPLATES = Path(__file__).resolve().parents[3] / "report"


def gallery(config: Config) -> list[str]:
    """What the rule `gallery` makes, its manifest first; thumbnails lie beside."""
    return [f"{root(config)}/report/gallery.{form}" for form in ("json", "html")]


def files(config: Config) -> list[str]:
    """What the rules `html` and `gallery` make."""
    return [f"{root(config)}/report.html", f"{root(config)}/report/chains.json", *gallery(config)]


def images(config: Config) -> list[tuple[str, str]]:
    """(MODEL:EVALUATION, manifest) of every shard of these pictures."""
    return [
        (f"{model}:{evaluation}", path)
        for model, evaluation in scored(config)
        for path in generate.manifests(config, model, evaluation)
    ]


def scores(config: Config) -> list[tuple[str, str]]:
    """(MODEL:EVALUATION:FAMILY, manifest) of the aggregates, which name the pictures' scores."""
    return [
        (f"{model}:{evaluation}:{family}", paper.number(config, family, model, evaluation))
        for (model, evaluation), names in scored(config).items()
        for family in names
    ]


def drawn(config: Config) -> list[str]:
    """The figures with pictures that no benchmark of the gallery has."""
    shown = set(scored(config))
    names = set(figures.reading(config, "pictures")) & set(paper.chosen(config, "figures"))
    return [
        name
        for name in config["figures"]
        if name in names
        and any(
            (row, config["figures"][name].get("evaluation")) not in shown
            for row in config["figures"][name]["rows"]
        )
    ]


def datasets(config: Config) -> dict[str, str]:
    """evaluation => the manifest of its prompts and photographs."""
    return {of: generate.dataset(config, of) for _, of in scored(config)}


def gallery_inputs(config: Config) -> list[str]:
    """Every manifest that the gallery reads."""
    read = [path for _, path in images(config) + scores(config)]
    read += [*datasets(config).values(), *gallery_figures(config)]
    return list(dict.fromkeys(read))


def gallery_spec(config: Config) -> str:
    """What the gallery shows, as JSON: the run, its data sets, what pictures are called."""
    sets = {}
    for evaluation, dataset in datasets(config).items():
        entry = config["evaluations"][evaluation]
        split = config["splits"][entry["split"]]
        sets[evaluation] = {
            "title": f"{split['label']}, {shape.text(entry['size'])} px",
            "dataset": dataset,
            "folder": split["folder"],
            "size": entry["size"],
        }
    labels = {f"{m}:{e}": paper.label(config, m, e) for m, e in scored(config)}
    return json.dumps({"run": config["run"], "sets": sets, "labels": labels} | config["gallery"])


def gallery_figures(config: Config) -> list[str]:
    """The manifests of the figures with pictures of their own."""
    return figures.manifests(config, drawn(config))


def templates() -> list[Path]:
    """The page, the gallery, and what both include."""
    return sorted([*TEMPLATES.glob("*.html"), *TEMPLATES.joinpath("parts").iterdir()])


def gallery_code(config: Config) -> str:
    """Digest of the code that makes the gallery; it imports its scores' families by name."""
    names = dict.fromkeys(name for of in scored(config).values() for name in of)
    return code.of("gallery.py", also=templates(), modules=tuple(map(families.module, names)))


def page_code() -> str:
    """Digest of the code that makes the report, and of what it sets in."""
    return code.of("report.py", also=[*templates(), TEMPLATES.parent / SCALING])


def lacking(config: Config) -> str:
    """Table or figure => what those of the paper's rows are called that it has not, as JSON.

    Released weights are the row whose published numbers they have.
    """

    def called(of: Config, row: str) -> str:
        return of["models"].get(row, {}).get("published_as", row)

    missing, whole = {}, deviations.of_paper()
    for section, label in (("tables", paper.row_label), ("figures", figures.label)):
        for name in set(config[section]) & set(whole[section]):
            own = {called(config, row) for row in config[section][name]["rows"]}
            theirs = whole[section][name]["rows"]
            labels = [label(whole, name, r) for r in theirs if called(whole, r) not in own]
            missing |= {name: labels} if labels else {}
    return json.dumps(missing, sort_keys=True)


def arithmetic(config: Config) -> str:
    """{"stage/model…": [FLOPs of all its jobs, jobs]} as JSON, of what the cost model counts.

    The page holds it against what they took. Of a training, whose segments' ends say how far it
    is: [FLOPs, steps].
    """
    steps = {chain.rule: config[chain.section]["steps"] for chain in (train.CHAIN, vae.CHAIN)}
    keys = [("latents", name) for name in config["backbones"]]
    keys += [("train", name) for name in train.trained(config)]
    keys += [("train_vae", name) for name in vae.trained(config)]
    keys += [("generate", *pair) for pair in scored(config)]
    keys += [("reconstruct", name) for name in config["vaes"]]
    counted = ((key, cost.of(config, key)) for key in keys)
    known = {"/".join(k): [c.flops, steps.get(k[0], c.jobs)] for k, c in counted if c.flops}
    return json.dumps(known)


def settings(config: Config) -> dict[str, Any]:
    """What the report says of the configuration that none of its inputs is made by.

    Titles, also of what is not made, what each row of `fidelity` came to, what the run is.
    """
    sections = {**config["tables"], **config["figures"]}
    titles = {name: entry.get("title") for name, entry in sections.items()}
    about = config.get("about")
    return {"titles": titles, "fidelity": fidelity.states(config), "about": about}


def inputs(config: Config) -> dict[str, list[str]]:
    """What the report reads, by the flag that names it."""
    return {
        "tables": paper.tables(config, paper.chosen(config, "tables")),
        "figures": figures.manifests(config, paper.chosen(config, "figures")),
        "claims": claims.files(config)[:1],
        "gallery": gallery(config)[:1],
    }
