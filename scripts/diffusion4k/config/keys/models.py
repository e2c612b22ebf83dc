"""Sections `backbones`, `vae`, `vaes`, `recipes` and `models`."""

from typing import Annotated, Literal

from pydantic import Field

from diffusion4k.config.keys.cluster import TrainingRequest
from diffusion4k.config.keys.types import (
    ABSENT,
    Count,
    Line,
    Name,
    Natural,
    NotNegative,
    Section,
    Tokens,
    Where,
    in_words_of,
    one_of,
)
from diffusion4k.train.autoencoder_settings import AutoencoderSettings
from diffusion4k.train.settings import CHOICES, Settings
from diffusion4k.vae import DECODERS, ENCODERS

Encoder, Decoder = Literal[ENCODERS], Literal[DECODERS]
Factor = one_of(8, 16)


@in_words_of(Settings)
class BackboneTraining(Section):
    """What differs between backbones in training."""

    t5_tokens: Tokens
    """T5 tokens in training"""
    guidance: float
    timestep_shift: Literal[CHOICES["timestep_shift"]]
    subtract_shift: bool
    global_batch: int
    micro_batch: int
    repeat_draws_every: int
    gpus: Natural
    """GPUs of a training job, 0 for CPU"""
    nodes: Count
    """nodes that they are spread over evenly; more than one only under SLURM"""
    optimizer: Literal[CHOICES["optimizer"]] = ABSENT
    """instead of `train.optimizer`"""
    clip: float = ABSENT
    """instead of `train.clip`"""
    zero_stage: one_of(*CHOICES["zero_stage"]) = ABSENT
    """instead of `train.zero_stage`"""
    offload_optimizer: bool = ABSENT
    """instead of `train.offload_optimizer`"""
    gradient_checkpointing: bool = ABSENT
    """instead of `train.gradient_checkpointing`"""
    keep_attention: bool = ABSENT
    """instead of `train.keep_attention`"""
    compile: bool = ABSENT
    """instead of `train.compile`"""
    resources: TrainingRequest = ABSENT
    """instead of `resources.train`"""


class BackboneSampling(Section):
    """What differs between backbones in sampling."""

    steps: Count
    """sampler steps"""
    guidance: NotNegative
    """guidance scale"""
    t5_tokens: Tokens
    """T5 tokens at inference"""


class Backbone(Section):
    """A latent diffusion model that trains."""

    source: Name
    """its diffusers pipeline"""
    vae: Name = ABSENT
    """one of `vaes` in place of the pipeline's own, in latents and in the pictures of every model
    of this backbone"""
    train: BackboneTraining
    """how it is fine-tuned"""
    generate: BackboneSampling
    """how it is sampled"""


class F16(Section):
    """The two convolutions that make an F8 VAE an F16 one."""

    encoder: Encoder
    """first convolution: `stride` 2 or `dilation` 2 with stride 2"""
    decoder: Decoder
    """last convolution: `published` (partitioned, shifted by one pixel), `folded` or `upsample`
    (exact)"""


class Autoencoder(Section):
    """A VAE that reconstructs."""

    source: Name = ABSENT
    """a pipeline with a folder `vae`, or the folder of a diffusers AutoencoderKL"""
    backbone: Name = ABSENT
    """with `recipe`, instead of a source: the backbone whose VAE is trained further"""
    recipe: Name = ABSENT
    """one of `vae_recipes`"""
    split: Name = ABSENT
    """split whose images it reconstructs; by default `reconstruction.split`"""
    label: Line
    """name in the tables"""
    factor: Factor = 16
    """pixels a latent, each way: 16 (the two forms below) or 8, as it was trained"""
    encoder: Encoder = ABSENT
    """as `vae.encoder`, which is the default"""
    decoder: Decoder = ABSENT
    """as `vae.decoder`, which is the default"""
    images: Count = ABSENT
    """reconstruct so many images at most, at even distances: for a row whose numbers nobody
    published. `reconstruction.images` limits every row"""


@in_words_of(AutoencoderSettings)
class VaeRecipe(Section):
    """An objective of training a VAE ([docs/sc-vae.md](../docs/sc-vae.md)); what an entry of yours
    leaves out is as `sc` has it."""

    scale_consistency: float
    lpips: float
    adversarial: float
    adversarial_start: int
    encoder: Literal["frozen", "trained"]
    ema: float


@in_words_of(Settings)
class Recipe(Section):
    """An objective of fine-tuning."""

    objective: Literal[CHOICES["objective"]]
    wavelet: str
    levels: int
    band_weights: Annotated[list[NotNegative], Field(min_length=4)]


class ModelSampling(Section):
    """How one model is sampled, where that differs."""

    steps: Count = ABSENT
    """sampler steps"""
    guidance: NotNegative = ABSENT
    """guidance scale"""
    t5_tokens: Tokens = ABSENT
    """longest text in tokens, where the pipeline asks for it"""
    vae_tiling: bool = ABSENT
    """instead of `generate.vae_tiling`"""


class Model(Section):
    """What makes pictures: a backbone's pipeline, another one, or a folder of finished images."""

    label: Line = ABSENT
    """name in the tables; the model's own name by default"""
    backbone: Name = ABSENT
    """one of `backbones`"""
    recipe: Name = ABSENT
    """with `backbone`: a recipe; without one the model is the backbone's own pipeline"""
    vae: Name = ABSENT
    """one of `vaes`, which decodes in place of the pipeline's own; a fine-tuned model's must have
    its backbone's encoder (`encoder: frozen`), or be `backbones.<name>.vae`"""
    source: Name = ABSENT
    """a source that is a diffusers pipeline, sampled as it is"""
    transformer: Name = ABSENT
    """with `source`: another source, whose `transformer/` takes the place of the pipeline's own"""
    pipeline: Where = ABSENT
    """folder of a diffusers pipeline, or hub repository `owner/name`; becomes the source
    `model_<name>`"""
    revision: str = ABSENT
    """with a hub repository: commit, tag or branch"""
    images: Where = ABSENT
    """folder of finished images named after the prompts' ids, or with a folder for each
    evaluation"""
    captions: Name = ABSENT
    """one of `captions`, in place of the evaluation's: prompts of its pictures, and what CLIPScore
    compares them with"""
    tables: list[Name] = ABSENT
    """tables that get it as one more row, besides those whose `rows` name it; left out, a
    `pipeline` or a folder of `images` that no table names is a row of every table that is `open`
    (finished pictures only of the evaluation that they are of); `[]`: of none"""
    published_as: Name = ABSENT
    """another model whose published numbers stand beside this one's, as the paper's fine-tuned Flux
    beside its released weights"""
    vae_factor: Factor = ABSENT
    """of an SD3 or Flux pipeline from `source` or `pipeline`; by default what it says of itself,
    else 16. Not for other classes, which keep their own VAE"""
    generate: ModelSampling = ABSENT
    """how this model is sampled, where that differs from its backbone's settings (of a pipeline of
    SD3's or Flux's class too) or its class's defaults"""
