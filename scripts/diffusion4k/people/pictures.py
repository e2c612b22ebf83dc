"""What people, or a judge, are asked about: of each model a picture a prompt, and its text."""

from collections.abc import Iterable, Mapping, Sequence

from diffusion4k import cli, images
from diffusion4k.data import captions
from diffusion4k.errors import UserError
from diffusion4k.manifest import Listed, Manifest, read


def sources(pairs: Iterable[str]) -> list[tuple[str, Manifest]]:
    """(model, manifest) of each MODEL=MANIFEST; UserError for anything else."""
    return _read("--images", pairs)


def own_captions(pairs: Iterable[str]) -> list[tuple[str, Manifest]]:
    """(model, data set) of the models whose prompts have texts of their own."""
    return _read("--captions", pairs)


def _read(flag: str, pairs: Iterable[str]) -> list[tuple[str, Manifest]]:
    named = cli.named(flag, pairs, "MODEL=MANIFEST")
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


def texts(named: Iterable[tuple[str, Manifest]], folder: str) -> dict[str, dict[str, str]]:
    """model => prompt's id => its text, of `own_captions`; `folder` is the same in all of them."""
    return {
        model: {sample.id: sample.text for sample in captions.of(dataset, folder)}
        for model, dataset in named
    }


def text(
    prompt: str,
    models: Sequence[str],
    captions: Mapping[str, str],
    own: Mapping[str, Mapping[str, str]],
) -> str:
    """The text that the pictures of a prompt (id) were drawn from; UserError unless it is one.

    `captions`: id => text of models that have none of their `own` (model => id => text).
    """
    drawn = {own.get(model, captions).get(prompt) for model in models}
    if len(drawn) > 1 or None in drawn:
        raise UserError(
            f"{' and '.join(models)}: their pictures of {prompt} are not of one text, so that none"
            " can be shown with both; compare models of the same captions"
        )
    return drawn.pop()
