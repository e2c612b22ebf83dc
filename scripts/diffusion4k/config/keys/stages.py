"""Sections `latents`, `train`, `generate`, `reconstruction` and `metrics`."""

from typing import Annotated, Literal

from pydantic import Field

from diffusion4k import latents
from diffusion4k.config.keys.types import (
    ABSENT,
    Choice,
    Count,
    Name,
    Natural,
    NotNegative,
    Pace,
    Precision,
    Section,
    Shape,
    Side,
    in_words_of,
    one_of,
)
from diffusion4k.train.autoencoder_settings import AutoencoderSettings
from diffusion4k.train.settings import CHOICES, Settings

Decay = Annotated[float, Field(ge=0, lt=1)]


class Latents(Section):
    """The training set, encoded once."""

    mode: Literal["precomputed", "online"]
    """`online`: texts are stored, and training encodes a new random crop of each image in every
    step, as the released code does (the GPU waits for the VAE)"""
    split: Name
    """split to train on"""
    size: Shape
    """training resolution in pixels: the side of a square, or [height, width]"""
    crops_per_image: Count
    """random crops stored an image; not used online"""
    batch: Count
    """pictures (crops and their mirror images) of one sample that pass through the VAE at once"""
    dtype: Literal[latents.DTYPES]
    """precision of encoding and storage"""
    shards: Count
    """jobs"""


@in_words_of(Settings)
class Training(Section):
    """Fine-tuning, the same for every model."""

    steps: Count
    """length of training; a longer one later goes on from the last end of a whole segment"""
    segment: Count
    """steps a job"""
    keep: list[Count]
    """segment ends whose state is kept besides the last"""
    save_every: Pace
    """steps between the saves that a killed job resumes from, or `{minutes: 30}`"""
    optimizer: Literal[CHOICES["optimizer"]]
    slots: Count
    """jobs that a segment may take, each ended by its time limit or killed; three in a row without
    a save count as a fault"""
    time_margin: NotNegative
    """minutes of a job's `runtime` for starting and saving: a segment ends itself, saved, that long
    before its limit"""
    learning_rate: float
    weight_decay: float
    beta1: float
    beta2: float
    epsilon: float
    clip: float
    warmup_steps: int
    precision: Literal[CHOICES["precision"]]
    gradient_checkpointing: bool
    keep_attention: bool
    attention: Literal[CHOICES["attention"]]
    compile: bool
    deterministic: bool
    zero_stage: one_of(*CHOICES["zero_stage"])
    offload_optimizer: bool
    flip_probability: float


@in_words_of(AutoencoderSettings)
class VaeTraining(Section):
    """Training a VAE, the same for every one."""

    split: Name
    """split to train on, with captions or without"""
    held_out: Count
    """images of it that are not trained on; some are drawn at each save"""
    resize: int
    size: int
    steps: Count
    """length of training; a step trains the decoder once and then the discriminator"""
    segment: Count
    """steps a job"""
    keep: list[Count]
    """segment ends whose state is kept besides the last"""
    save_every: Pace
    """steps between the saves that a killed job resumes from, or `{minutes: 30}`"""
    decoder_batch: int
    discriminator_batch: int
    adaptive_group: int
    micro_batch: int
    gpus: Natural
    """GPUs of a training job, 0 for CPU"""
    nodes: Count
    """nodes that they are spread over evenly; more than one only under SLURM"""
    discriminator_hidden: int
    discriminator_depth: int
    learning_rate: float
    discriminator_learning_rate: float
    weight_decay: float
    beta1: float
    beta2: float
    epsilon: float
    clip: float
    precision: Literal[CHOICES["precision"]]
    gradient_checkpointing: bool
    flip_probability: float


class Sampling(Section):
    """Sampling, the same for every model."""

    dtype: Precision
    """precision of the pipeline"""
    negative_prompt: str
    """for classifier-free guidance"""
    offload: bool
    """keep on the GPU only the network that works"""
    vae_tiling: bool
    """decode in overlapping tiles: less memory at 4096 px, slightly other pixels where tiles
    blend"""
    attention: Literal["native", "flash_3", "auto"]
    """kernel of the transformer's attention: `native`, what torch picks (cuDNN on a Hopper GPU);
    `flash_3`, FlashAttention 3 (source `flash_attention_3`), or an error where it does not work
    ([how to get it](../docs/gpu.md#flashattention-3)); `auto`, that where it works, else `native`.
    Another kernel, other last bits; the manifest names it. `native` was measured on an H200,
    FlashAttention 3 not yet"""
    compile: bool
    """compile the transformer with torch.compile: a slow first step, then (on an H200) a ninth less
    time for SD3, a seventh for Flux; other last bits"""
    seed_policy: Literal["published", "per_prompt"]
    """`published`: the same seed for every prompt"""


class Reconstruction(Section):
    """What Table 2 measures."""

    split: Name
    """split whose images are reconstructed"""
    size: Side
    """side of the centre crop in pixels"""
    images: Count = ABSENT
    """that many images at even distances; unset: all"""
    shards: Count
    """jobs"""
    crop: Count
    """side in pixels of the crops that patch rFID sees"""
    crops: Count
    """how many of them along each side of an image; 1: the centre"""
    vae_tiling: bool
    """encode and decode in blended tiles of the VAE's own size: for a machine without a GPU, where
    the whole takes about 17 GB at 4096 px; values differ slightly, and a note says so"""
    tf32: bool
    """convolutions of the VAE in TensorFloat-32 on a GPU, as torch has them by default, and so what
    a program computes that sets nothing; the metrics' own networks never. Emulated in miniature, an
    image's PSNR moved by 0.001 dB at most, SSIM by 6e-5, LPIPS by 1e-5"""


class Glcm(Section):
    """Grey-level co-occurrence matrices."""

    patch: Annotated[int, Field(ge=2, le=256)]
    """side of a patch in pixels"""
    levels: Annotated[int, Field(ge=2, le=256)]
    """grey levels"""
    distances: Annotated[list[Count], Field(min_length=1)]
    """in pixels"""
    angles: Annotated[list[float], Field(min_length=1)]
    """in degrees"""
    properties: bool
    """score contrast, dissimilarity, homogeneity, energy, correlation and asm too, for columns of
    the family `texture`"""


class Metrics(Section):
    """Scoring."""

    batch: Count
    """images a pass through a network"""
    glcm: Glcm
    """grey-level co-occurrence matrices; the defaults are the released ones"""
    glcm_choice: Choice
    """the headline, tables' first column and Table 1's: entropy of the histogram of values
    (`published`) or of the matrix (`corrected`)"""
    clip_choice: Choice
    """the headline: prompts beyond 77 tokens cut without (`published`) or with (`corrected`) the
    end token"""
    score_input: Literal["memory", "jpeg"]
    """what FID, KID, CLIPScore and Aesthetics see: the picture as it was in memory (a lossless PNG
    is kept of each, about 8 MB at 2048 px and 34 MB at 4096), or its JPEG, as GLCM Score and
    Compression Ratio do in any case"""
