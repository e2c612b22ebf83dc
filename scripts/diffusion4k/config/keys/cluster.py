"""Sections `site`, `plan` and `resources`."""

from typing import Annotated, Literal

from pydantic import Field

from diffusion4k.config.keys.types import (
    ABSENT,
    Count,
    Name,
    Natural,
    NotNegative,
    Positive,
    Section,
    matching,
)
from diffusion4k.metrics import families
from diffusion4k.metrics.families import PerImage

GpuModel = matching(
    "[a-zA-Z0-9_.]+",
    "Snakemake's SLURM plugin takes letters, digits, _ and . only in a GPU's model; leave"
    " site.gpu_model out and choose GPUs by site.gpu_partition or site.constraint",
)
STEPS = ("source", "check", "latents", "train", "train_vae", "export", "reconstruct", "generate")
# the rules that score generated images; what single images need, per_image, asks as texture
_SCORING = (family.stage for family in families.every().values() if family.generated)
STEPS += tuple(dict.fromkeys(stage for stage in _SCORING if stage != PerImage.stage))
Step = Literal[STEPS]
VaePrecision = Literal["bfloat16", "tf32", "float32"]


class Site(Section):
    """What SLURM is asked for besides a step's resources."""

    gpu_request: Literal["gpu", "gres"]
    """`gpu` (`--gpus=a100:8`) or `gres` (`--gres=gpu:a100:8`)"""
    account: str = ABSENT
    """account that is billed"""
    cpu_partition: str = ABSENT
    """partition of jobs without a GPU"""
    gpu_partition: str = ABSENT
    """partition of jobs with GPUs"""
    gpu_model: GpuModel = ABSENT
    """GPU as `sinfo -o %G` names it; without it, any. A name with a hyphen is refused by
    Snakemake's plugin: choose by `site.gpu_partition` or `site.constraint` instead"""
    qos: str = ABSENT
    """quality of service"""
    constraint: str = ABSENT
    """features that a node must have"""
    max_runtime: Count = ABSENT
    """longest job in minutes; no job asks for more"""
    max_mem_mb: Count = ABSENT
    """largest memory of a job; no job asks for more"""


class Budget(Section):
    """What you have."""

    gpus: Count
    """GPUs that a job may have at once"""
    memory_gb: Positive
    """memory of one, in GB"""
    hours: Positive
    """hours that all of them are yours"""


class Plan(Section):
    """What `snakemake plan` reckons with."""

    tflops: Positive | Annotated[dict[Name, Positive], Field(min_length=1)]
    """TFLOP/s that a GPU sustains, in the stages' own precision: one number, or one a backbone (a
    stage of none takes the lowest)"""
    vae_tflops: Positive | Annotated[dict[VaePrecision, Positive], Field(min_length=1)]
    """TFLOP/s that a GPU sustains in a VAE's convolutions, where they are the work (latents, VAE
    trainings, reconstruction): one number, or one a precision (another takes the lowest). Float32
    convolutions run in `tf32` on an A100 and later, unless `reconstruction.tf32` is false. Measured
    by nobody here: 35 % of the GPU's peak in that precision is assumed, the lower of the two shares
    that the paper's Table 5 implies, since norms between convolutions wait for memory"""
    device: str = ABSENT
    """the GPU that is meant; named as in `benchmarks/results/*.json`, rates measured on it win over
    `tflops`"""
    price: NotNegative = ABSENT
    """of a GPU-hour, in any currency: `plan` says then what each target costs, the report what each
    stage did"""
    budget: Budget = ABSENT
    """what you have: `plan` says then which tables and claims fit, by claims checked a GPU-hour
    ([docs/tiers.md](../docs/tiers.md))"""


class TrainingRequest(Section):
    """What a job of fine-tuning asks for, where its backbone needs more or less than others."""

    threads: Count = ABSENT
    """instead of `resources.train.threads`, for each GPU"""
    mem_mb: Count = ABSENT
    """instead of `resources.train.mem_mb`, for each GPU"""
    runtime: Count = ABSENT
    """instead of `resources.train.runtime`"""


class Request(Section):
    """What a job of one step asks for."""

    threads: Count
    """CPU threads; of a training (`train`, `train_vae`) for each of its GPUs"""
    mem_mb: Count
    """memory in MB; of a training for each of its GPUs"""
    runtime: Count
    """minutes"""
    gpu: Natural = ABSENT
    """GPUs, of a step that uses one; training asks for its backbone's"""
