"""The pictures that people, or a judge, are asked about: of each model one a prompt."""

from collections.abc import Iterable

from diffusion4k import cli, images
from diffusion4k.manifest import Listed, Manifest, read


def sources(pairs: Iterable[str]) -> list[tuple[str, Manifest]]:
    """(model, manifest) of each MODEL=MANIFEST; UserError for anything else."""
    named = cli.named("--images", pairs, "MODEL=MANIFEST")
    return [(model, read(path)) for (model,), path in named]


def of(named: Iterable[tuple[str, Manifest]]) -> dict[str, dict[str, Listed]]:
    """model => prompt's id => its picture, of the manifests of its shards.

    Manifests of scripts/draw.py say which picture is of which prompt; in a benchmark's, and in
    those of a folder of one's own, pictures are called as their prompts.
    """
    by_model: dict[str, dict[str, Listed]] = {}
    for model, source in named:
        own = by_model.setdefault(model, {})
        if "pictures" in source.results:
            listed = (record for record in source.results["pictures"] if record["row"] == model)
            own |= {record["id"]: source.listed(source.root / record["file"]) for record in listed}
        else:
            paths = images.pictures(source.paths())
            own |= {path.stem: source.listed(path) for path in paths}
    return by_model
