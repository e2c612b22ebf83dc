"""Every key of the configuration, once: its type, its limits, what it means.

A text below a key is its meaning. config/README.md's tables and config/schema.json, which editors
read, are made from these models by `make docs`; the paper's values are in config/config.yaml. A
default here is what a key that is left out amounts to: it is not filled in.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from diffusion4k.config import fidelity
from diffusion4k.config.keys import (
    cluster,
    data,
    endpoints,
    figures,
    models,
    paper,
    people,
    stages,
)
from diffusion4k.config.keys.types import ABSENT, Choice, Name, Names, Section, Seed, matching

_CHOICES = {"enum": [fidelity.PUBLISHED, fidelity.CORRECTED]}


def _row(name: str) -> str:
    if name not in fidelity.ROWS:
        raise ValueError(f"no such row; the rows are {', '.join(fidelity.ROWS)}")
    return name


def _rows(value: Any) -> Any:
    if not isinstance(value, dict) and value not in _CHOICES["enum"]:
        raise ValueError("neither published, corrected nor a mapping of rows to either")
    return value if isinstance(value, dict) else {}


Rows = Annotated[
    dict[Annotated[str, AfterValidator(_row)], Choice],
    BeforeValidator(_rows),
    WithJsonSchema(
        {
            "anyOf": [
                _CHOICES,
                {
                    "type": "object",
                    "properties": dict.fromkeys(fidelity.ROWS, _CHOICES),
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


class Configuration(Section):
    """The sections, in the order of config/config.yaml."""

    run: matching(
        "[A-Za-z0-9][A-Za-z0-9_.-]{0,99}",
        "letters, digits, _ . and - only, 100 at most; it names a folder",
    )
    """name of the results folder, `results/<run>/`"""
    about: str = ABSENT
    """a short sentence that says what the run is, where it is not the whole paper; it stands at the
    top of the report, and below every table and figure"""
    base: matching("[a-z0-9_-]+", "the name of a file of config/, without .yaml") = ABSENT
    """`miniature`: what this file sets stands on top of `config/miniature.yaml`, not of the paper's
    configuration alone; any other file of `config/` too, and what that has as its base"""
    reuse: Name = ABSENT
    """name of another run in `results/`: what it has finished by the same code and settings is read
    from there, and only what differs is made"""
    seed: Seed
    """seed of everything that draws: crops, training, images; at most 2^63 - 1"""
    fidelity: Rows
    """`published` (what the released code does), `corrected`, or a mapping of rows to either"""
    sources: dict[Name, data.Source]
    """name → origin"""
    splits: dict[Name, data.Split]
    """name → captioned folder of a source"""
    evaluations: dict[Name, data.Evaluation]
    """name → prompts, references and image size of a benchmark"""
    captions: dict[Name, endpoints.Captions]
    """name → other captions, for a split or a model ([docs/captions.md](../docs/captions.md))"""
    endpoints: dict[Name, endpoints.Endpoint]
    """name → a model that writes captions or judges pairs, by OpenAI's chat protocol"""
    judge: endpoints.Judge = ABSENT
    """judges the pairs of `people` ([docs/judge.md](../docs/judge.md)); absent by default, because
    it costs"""
    backbones: dict[Name, models.Backbone]
    """`sd3` and `flux`"""
    vae: models.F16
    """the F16 VAE"""
    vaes: dict[Name, models.Autoencoder]
    """name → a VAE: a row of Table 2, or what a backbone or a model takes by `vae`"""
    vae_recipes: dict[Name, models.VaeRecipe]
    """name → objective of training a VAE"""
    vae_training: stages.VaeTraining
    """training a VAE, the same for every one"""
    recipes: dict[Name, models.Recipe]
    """name → objective of fine-tuning"""
    models: dict[Name, models.Model]
    """name → made from one of `backbone`, `source`, `pipeline`, `images`
    ([docs/your-model.md](../docs/your-model.md))"""
    latents: stages.Latents
    """the training set, encoded once"""
    train: stages.Training
    """fine-tuning, the same for every model"""
    generate: stages.Sampling
    """sampling, the same for every model"""
    reconstruction: stages.Reconstruction
    """Table 2"""
    metrics: stages.Metrics
    """scoring"""
    people: people.People
    """what the rating kit shows"""
    votes: people.Files = ABSENT
    """people's votes for Figure 6, several files or a pattern: what the kit saved, or a CSV of
    votes; absent by default, because the paper's were never released"""
    ratings: people.Ratings = ABSENT
    """human ratings for Table 1; absent by default, because the paper's were never released"""
    efficiency: dict[Name, paper.Cost]
    """name → a way to sample a picture, a row of Table 5"""
    tables: dict[paper.TableName, paper.Table]
    """name → table; its name is a target"""
    claims: dict[Name, paper.Claim]
    """name → a claim of the paper, which `snakemake claims` judges
    ([docs/verdicts.md](../docs/verdicts.md))"""
    targets: Names = ABSENT
    """the tables and figures that `all`, `tables`, `figures`, `report`, `claims` mean; by default
    every one. Others are made by name"""
    unavailable: dict[Name, paper.Unavailable]
    """rows that no run can fill"""
    prompts: dict[Name, figures.PromptSet]
    """name → prompts of one's own, for figures"""
    figures: dict[figures.FigureName, figures.Figure]
    """name → figure; its name is a target"""
    gallery: figures.Gallery
    """the report's page of pictures side by side"""
    site: cluster.Site
    """what SLURM is asked for besides a step's resources; a key left out leaves SLURM's default"""
    plan: cluster.Plan
    """what `snakemake plan` reckons with; no job uses it"""
    resources: dict[cluster.Step, cluster.Request]
    """step → what a job of it asks for"""
