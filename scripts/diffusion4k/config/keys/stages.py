"""Sections `latents`, `train`, `generate`, `reconstruction` and `metrics`."""

from typing import Annotated, Literal

from pydantic import Field

from diffusion4k.config.keys.types import (
    ABSENT,
    Choice,
    Count,
    Name,
    Natural,
    NotNegative,
    Pace,
    Positive,
    Precision,
    Section,
    Shape,
    Side,
    one_of,
)
from diffusion4k.train.settings import CHOICES

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
    dtype: Precision
    """precision of encoding and storage"""
    shards: Count
    """jobs"""


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
    """`adamw` (fp32 states), `adamw_8bit` (bitsandbytes, not with offloading), or
    `adamw_8bit_bf16`: 8-bit states, bf16 weights rounded stochastically, steps inside the backward
    pass; with `zero_stage: 0`, `clip: 0`, one GPU, `global_batch` = `micro_batch`
    (docs/training.md)"""
    slots: Count
    """jobs that a segment may take, each ended by its time limit or killed; three in a row without
    a save count as a fault"""
    time_margin: NotNegative
    """minutes of a job's `runtime` for starting and saving: a segment ends itself, saved, that long
    before its limit"""
    learning_rate: Positive
    """of AdamW, constant after the warm-up"""
    weight_decay: NotNegative
    """of AdamW"""
    beta1: Decay
    """of AdamW"""
    beta2: Decay
    """of AdamW"""
    epsilon: Positive
    """of AdamW"""
    clip: NotNegative
    """largest norm of the gradient; 0: any"""
    warmup_steps: Natural
    """steps of linear warm-up"""
    precision: Literal[CHOICES["precision"]]
    """`bfloat16` (with float32 master weights) or `float32`"""
    gradient_checkpointing: bool
    """recompute activations, for memory"""
    keep_attention: bool
    """when recomputing, keep the outputs of attention: the same gradients, a sixth (SD3) or an
    eighth (Flux) less arithmetic at 4096 px, 1.2 or 5.8 GB more an image"""
    compile: bool
    """compile the transformer with torch.compile: a slow first step; other last bits"""
    deterministic: bool
    """torch's deterministic kernels alone, for VAEs' training as well: on GPUs, too, a resumed
    training is then the same bit for bit; what that costs was not measured"""
    zero_stage: one_of(*CHOICES["zero_stage"])
    """DeepSpeed ZeRO stage; 0: no DeepSpeed"""
    offload_optimizer: bool
    """optimizer states in CPU memory (ZeRO-2)"""
    flip_probability: Annotated[float, Field(ge=0, le=1)]
    """of horizontal flips"""


class VaeTraining(Section):
    """Training a VAE, the same for every one."""

    split: Name
    """split to train on, with captions or without"""
    held_out: Count
    """images of it that are not trained on; some are drawn at each save"""
    resize: Side
    """what the images' shorter side becomes, in pixels"""
    size: Side
    """side of the random crops in pixels"""
    steps: Count
    """length of training; a step trains the decoder once and then the discriminator"""
    segment: Count
    """steps a job"""
    keep: list[Count]
    """segment ends whose state is kept besides the last"""
    save_every: Pace
    """steps between the saves that a killed job resumes from, or `{minutes: 30}`"""
    decoder_batch: Count
    """images a step that the decoder is trained on, over all GPUs"""
    discriminator_batch: Natural
    """further images a step, over all GPUs, for the discriminator, a multiple of `decoder_batch`;
    0: it sees the decoder's"""
    adaptive_group: Natural
    """images of `decoder_batch` that share an adaptive weight, from whatever GPUs; 0: all. Where a
    GPU's part of them does not fit into `micro_batch`, its pictures are decoded once more"""
    micro_batch: Count
    """images a GPU holds at once, at most"""
    gpus: Natural
    """GPUs of a training job, 0 for CPU"""
    nodes: Count
    """nodes that they are spread over evenly; more than one only under SLURM"""
    discriminator_hidden: Count
    """width of the discriminator's last convolution"""
    discriminator_depth: Count
    """its convolutions, each of which halves the sides"""
    learning_rate: Positive
    """of AdamW, constant"""
    discriminator_learning_rate: Positive
    """the discriminator's"""
    weight_decay: NotNegative
    """of AdamW"""
    beta1: Decay
    """of AdamW"""
    beta2: Decay
    """of AdamW"""
    epsilon: Positive
    """of AdamW"""
    clip: Positive
    """largest norm of either network's gradient"""
    precision: Literal[CHOICES["precision"]]
    """`float32`, or `bfloat16` (mixed, with float32 weights)"""
    gradient_checkpointing: bool
    """recompute the decoder's activations, for memory"""
    flip_probability: Annotated[float, Field(ge=0, le=1)]
    """of horizontal flips"""


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
    `flash_3`, FlashAttention 3, or an error where it does not work
    ([how to get it](../docs/gpu.md#flashattention-3)); `auto`, that where it works, else `native`.
    Another kernel, other last bits; the manifest names it. The default is chosen without a
    measurement on a GPU"""
    compile: bool
    """compile the transformer with torch.compile: a slow first step; other last bits"""
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
