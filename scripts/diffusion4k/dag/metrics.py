"""Scores of images, aggregates, comparisons, correlations."""

from diffusion4k.config.resolve import Config
from diffusion4k.dag import sources
from diffusion4k.dag.paths import shards
from diffusion4k.metrics import families


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
    family = families.get(name)
    stage = name if family.stage == "per_image" else family.stage
    return manifests(config, stage, model, evaluation)


def aggregated(config: Config, wildcards) -> dict[str, list[str]]:
    """A model's scores; of FID the photographs' features too."""
    files = {"scores": of_family(config, wildcards.family, wildcards.model, wildcards.evaluation)}
    if wildcards.family == "fid":
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
