"""Scores of images, aggregates, comparisons, correlations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from diffusion4k.config.resolve import Config
from diffusion4k.dag import data, generate, keys, sources
from diffusion4k.dag.paths import shards
from diffusion4k.metrics import families

IQA_BIN = Path(".venv-iqa/bin").absolute()  # what `make env-iqa` makes


def pictures(config: Config, wildcards) -> str:
    """The shard of pictures that a job scores."""
    return generate.shard(config, wildcards)


def dataset(config: Config, evaluation: str, model: str | None = None) -> str:
    """The data set of an evaluation's photographs and prompts; the prompts as a model has them."""
    return generate.dataset(config, evaluation, model)


def check(config: Config, evaluation: str) -> str:
    """The check of an evaluation's split."""
    return data.checked(config, config["evaluations"][evaluation]["split"])


def iqa_path(conda: bool) -> str:
    """PATH of a job of MUSIQ and MANIQA: conda sets it, or that environment comes first."""
    return "$PATH" if conda else f"'{IQA_BIN}':$PATH"


def per_image() -> list[str]:
    """The families that the rule of this name scores."""
    return [family.name for family in families.scored_by("per_image")]


def generated() -> list[str]:
    """The families whose scores of a model's pictures are summed up."""
    return list(families.generated())


def paired() -> list[str]:
    """The families by which models are compared prompt by prompt."""
    return list(families.paired())


def correlated() -> list[str]:
    """The metrics that are held against ratings."""
    return list(families.rated())


def form_of_rated(config: Config) -> Callable[[Any], str | None]:
    """A function of the wildcard {metric} to its form: published or corrected; None with one."""
    of = {name: rated.corrected for name, (_, rated) in families.rated().items()}
    told = {name: corrected[0] for name, corrected in of.items() if corrected}

    def form(wildcards):
        key = told.get(wildcards.metric)
        return keys.key(config, key)(wildcards) if key else None

    form.keys = tuple((key,) for key in told.values())
    return form


def networks(config: Config, stage: str) -> dict[str, str]:
    """{name: manifest} of a scoring job's networks; without optional ones that are no source."""
    of = families.scored_by(stage)
    optional = {name for family in of for name in family.optional} - set(config["sources"])
    needed = [name for family in of for name in family.networks if name not in optional]
    return {name: sources.manifest(config, name) for name in needed}


def manifests(config: Config, stage: str, model: str, evaluation: str) -> list[str]:
    """All shards of a model's scores by one stage."""
    stem = f"metrics/{model}/{evaluation}/{stage}"
    return shards(config, stem, config["evaluations"][evaluation]["shards"])


def of_family(config: Config, name: str, model: str, evaluation: str) -> list[str]:
    """All shards of the scores that a family's numbers are summed up from."""
    return manifests(config, families.get(name).jobs, model, evaluation)


def aggregated(config: Config, wildcards) -> dict[str, list[str]]:
    """A model's scores; for a distance between sets the photographs' features too."""
    files = {"scores": of_family(config, wildcards.family, wildcards.model, wildcards.evaluation)}
    if families.get(wildcards.family).reference:
        files["reference"] = manifests(config, "features", "reference", wildcards.evaluation)
    return files


def compared(config: Config, wildcards) -> dict[str, list[str]]:
    """Both models' scores."""
    pair = {"scores": wildcards.model, "against": wildcards.other}
    return {
        name: of_family(config, wildcards.family, model, wildcards.evaluation)
        for name, model in pair.items()
    }


def count(config: Config, evaluation: str) -> int:
    """The images of an evaluation."""
    return config["splits"][config["evaluations"][evaluation]["split"]]["count"]


def rated(config: Config, metric: str) -> list[tuple[str, str]]:
    """(model, manifest) of the scores of all images that may have a human rating."""
    ratings, (family, _) = config["ratings"], families.rated()[metric]
    return [
        (model, path)
        for model in ratings["models"]
        for path in of_family(config, family.name, model, ratings["evaluation"])
    ]
