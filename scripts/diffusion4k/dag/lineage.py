"""Every manifest that a table, a figure or the claims rest on, for the inputs of the targets.

Snakemake does not miss an intermediate file whose downstream exists: after a job has failed (its
outputs are deleted then) the same command would say that there is nothing to be done, and an old
table would stand. It does miss an input of the target itself. So targets name their whole chain. Of
training only what is kept: the ends of other segments are temporary.

tests/dag/test_lineage.py holds this against the DAG that Snakemake builds.
"""

from collections.abc import Iterable, Iterator

from diffusion4k.config.resolve import Config
from diffusion4k.dag import (
    claims,
    data,
    draw,
    figures,
    generate,
    latents,
    metrics,
    paper,
    people,
    report,
    sources,
    train,
    vae,
)
from diffusion4k.dag.paths import file
from diffusion4k.metrics import families


def of_tables(config: Config, names: Iterable[str]) -> list[str]:
    """The files of tables, and every manifest that they are made from."""
    return _unique(path for name in names for path in _table(config, name))


def of_figures(config: Config, names: Iterable[str]) -> list[str]:
    """The files of figures, and every manifest that they are made from."""
    return _unique(path for name in names for path in _figure(config, name))


def of_claims(config: Config) -> list[str]:
    """The files of the claims' verdicts, and every manifest that they are made from."""
    return _unique(_claims(config))


def of_report(config: Config) -> list[str]:
    """The report, its gallery, and all that the tables, figures and claims of a run rest on."""
    return _unique(
        [
            *of_tables(config, paper.chosen(config, "tables")),
            *of_figures(config, paper.chosen(config, "figures")),
            *of_claims(config),
            *report.files(config),
        ]
    )


def _unique(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(paths))


def _table(config: Config, name: str) -> Iterator[str]:
    evaluation = config["tables"][name].get("evaluation")
    yield from paper.table_files(config, [name])
    yield from paper.read_by(config, name)
    against = config["tables"][name].get("against", {})
    numbers = [key.split(":") for key, _ in paper.numbers(config, name)]
    others = [key.split(":") for key, _ in paper.comparisons(config, name)]
    for row, family in [*numbers, *((against[row], family) for row, family in others)]:
        yield from _row(config, family, row, evaluation)


def _claims(config: Config) -> Iterator[str]:
    yield from claims.files(config)
    yield from claims.read_by(config)
    yield from of_tables(config, claims.tables(config))
    yield from _votes(config)
    for _, family, *rows, evaluation in claims.pairs(config):
        for row in rows:
            yield from _row(config, family, row, evaluation)


def _row(config: Config, family: str, row: str, evaluation: str | None) -> Iterator[str]:
    """What the aggregate of one row is made from."""
    if family == "correlation":
        of, _ = families.rated()[row]
        ratings = config["ratings"]
        yield from (file(config, f"people/ratings.{form}") for form in ("json", "csv"))
        yield from _returned(config, people.rated(config), "ratings")
        for model in ratings["models"]:
            yield from _scores(config, of.name, model, ratings["evaluation"])
    elif family == "sizes":
        yield from _split(config, row)
    elif family == "training":
        yield from _training(config, row)
    elif family == "efficiency":
        yield from _pipeline(config, generate.timed_model(config, row))
    elif family == "reconstruction":
        yield from _reconstruction(config, row)
    else:
        yield from _scores(config, family, row, evaluation)


def _scores(config: Config, name: str, model: str, evaluation: str) -> Iterator[str]:
    family = families.get(name)
    yield from metrics.of_family(config, name, model, evaluation)
    yield from metrics.networks(config, family.stage).values()
    yield from _images(config, model, evaluation)
    if name == "fid":
        yield from metrics.manifests(config, "features", "reference", evaluation)
        yield from _split(config, config["evaluations"][evaluation]["split"])


def _images(config: Config, model: str, evaluation: str) -> Iterator[str]:
    yield from generate.manifests(config, model, evaluation)
    yield from _dataset(config, generate.dataset(config, evaluation, model), evaluation)
    if model in generate.sampled(config):
        yield from _pipeline(config, model)


def _dataset(config: Config, manifest: str, evaluation: str) -> Iterator[str]:
    """A data set, and the source that its images lie in."""
    split = config["evaluations"][evaluation]["split"]
    yield manifest
    yield sources.manifest(config, config["splits"][split]["source"])


def _pipeline(config: Config, model: str) -> Iterator[str]:
    yield generate.pipeline(config, model)
    yield sources.of_model(config, model)
    entry = config["models"][model]
    if "recipe" in entry:
        yield from _training(config, model)
    elif "transformer" in entry:
        yield sources.manifest(config, entry["transformer"])
    if "vae" in entry:
        yield from _vae(config, entry["vae"])


def of_kit(config: Config, purpose: str) -> list[str]:
    """The manifest of a rating kit, and every manifest that it is made from."""
    return _unique([people.kit(config, purpose), *_asked(config, purpose)])


def _asked(config: Config, purpose: str) -> Iterator[str]:
    """The pictures that people, or a judge, are asked about, and what they are made from."""
    evaluation = config["people"]["evaluation"]
    yield from (path for _, path in people.pictures(config, purpose))
    for model in people.models(config, purpose):
        # their captions, and its own prompts
        yield from _dataset(config, generate.dataset(config, evaluation), evaluation)
        yield from _dataset(config, generate.dataset(config, evaluation, model), evaluation)
        if model in generate.sampled(config):
            yield from _pipeline(config, model)


def _votes(config: Config) -> Iterator[str]:
    if people.votes(config):
        yield from people.votes(config)
        yield generate.dataset(config, config["people"]["evaluation"])
        yield from _returned(config, people.voted(config), "pairs")
        for judge in people.judges(config):
            yield judge
            yield from _asked(config, "pairs")


def _returned(config: Config, given: dict, purpose: str) -> Iterator[str]:
    """What the files of raters rest on: where they are a kit's, all that it shows."""
    if "kit" in given:
        yield from of_kit(config, purpose)


def _training(config: Config, model: str) -> Iterator[str]:
    yield from (train.step_file(config, model, step) for step in train.CHAIN.kept(config))
    yield sources.of_model(config, model)
    backbone = config["models"][model]["backbone"]
    yield from latents.manifests(config, backbone)
    if latents.vae_of(config, backbone):
        yield from _vae(config, config["backbones"][backbone]["vae"])
    yield from _split(config, config["latents"]["split"])


def _vae(config: Config, name: str) -> Iterator[str]:
    """A VAE, and what it is trained on if it is trained here."""
    yield vae.manifest(config, name)
    if "recipe" in config["vaes"][name]:
        name = vae.same(config, name)
        yield from (vae.CHAIN.step_file(config, name, step) for step in vae.CHAIN.kept(config))
        yield vae.pipeline(config, name)
        yield sources.manifest(config, "vgg16")
        yield vae.images(config)
        yield from _split(config, config["vae_training"]["split"])


def _reconstruction(config: Config, name: str) -> Iterator[str]:
    yield from vae.manifests(config, name)
    yield from _vae(config, name)
    yield from (sources.manifest(config, network) for network in ("inception", "vgg16"))
    yield from _split(config, config["vaes"][name]["split"])


def _split(config: Config, split: str) -> Iterator[str]:
    yield data.checked(config, split)
    yield sources.of_split(config, split)
    yield sources.manifest(config, config["splits"][split]["source"])


def _figure(config: Config, name: str) -> Iterator[str]:
    rows, reads = config["figures"][name]["rows"], figures.kind(config, name).reads
    yield from figures.files(config, [name])
    yield from figures.inputs(config, name)
    if reads == "pictures":
        yield draw.dataset(config, name)
        for row in draw.sampled(config, name):
            yield draw.dataset(config, name, row)
            yield from _pipeline(config, row)
    elif reads == "reconstructions":
        yield from figures.rebuild_inputs(config, name)
        for row in rows:
            yield from _vae(config, row)
    elif reads in ("check", "training"):
        for row in rows:
            if reads == "check":
                yield from _split(config, row)
            else:
                yield from _training(config, row) if row in config["models"] else _vae(config, row)
    elif reads == "votes":
        yield from _votes(config)
