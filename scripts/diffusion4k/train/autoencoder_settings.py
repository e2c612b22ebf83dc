"""The recipe of the scale-consistent VAE: every setting that decides its weights, and its flag."""

from dataclasses import dataclass
from typing import ClassVar

from diffusion4k.errors import UserError
from diffusion4k.train.settings import flag

CHOICES = {
    "encoder": ("frozen", "trained"),
    "encoder_form": ("stride", "dilation"),
    "decoder_form": ("published", "folded", "upsample"),
    "precision": ("float32", "bfloat16"),
}


@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings:
    """A field is a flag: `learning_rate` is `--learning-rate`. Defaults are the released recipe."""

    # what the trainer asks of every recipe, and this one leaves no choice in
    zero_stage: ClassVar[int] = 0
    optimizer: ClassVar[str] = "adamw"
    offload_optimizer: ClassVar[bool] = False
    deterministic: ClassVar[bool] = False

    scale_consistency: float = flag(
        "weight of the distance between the decoder's last map, enlarged, and the F8 VAE's", 1.0
    )
    lpips: float = flag("weight of LPIPS with VGG-16; the squared error has weight 1", 0.1)
    adversarial: float = flag(
        "weight of the adversarial term, besides the adaptive one; 0: no discriminator", 0.05
    )
    adversarial_start: int = flag("first step with a discriminator", 0)
    encoder: str = flag(
        "`frozen`: the latents stay the pretrained VAE's, and models trained on them take the "
        "new decoder as it is",
        "frozen",
    )
    ema: float = flag(
        "decay of the average of the weights, which is what the training gives; it begins "
        "lower, as (1 + n) / (10 + n). 0: no average, the last weights",
        0.9999,
    )
    encoder_form: str = flag("first convolution of the F16 VAE, as `vae.encoder`", "stride")
    decoder_form: str = flag("its last convolution, as `vae.decoder`", "published")
    resize: int = flag("what the images' shorter side becomes, in px", 512)
    size: int = flag("side of the random square crops in px", 512)
    decoder_batch: int = flag("images a step that the decoder is trained on, over all GPUs")
    discriminator_batch: int = flag(
        "further images a step, over all GPUs, for the discriminator; 0: it sees the decoder's", 0
    )
    micro_batch: int = flag("images a GPU holds at once, at most")
    discriminator_hidden: int = flag("width of the discriminator's last convolution", 512)
    discriminator_depth: int = flag("its convolutions, each of which halves the sides", 6)
    learning_rate: float = flag("of AdamW, constant", 1e-5)
    discriminator_learning_rate: float = flag("the discriminator's, constant", 1e-5)
    weight_decay: float = flag("of AdamW", 1e-4)
    beta1: float = flag("of AdamW", 0.9)
    beta2: float = flag("of AdamW", 0.999)
    epsilon: float = flag("of AdamW", 1e-8)
    clip: float = flag("largest norm of either network's gradient", 1.0)
    precision: str = flag("`float32`, or `bfloat16` (mixed, with float32 weights)", "float32")
    gradient_checkpointing: bool = flag("recompute the decoder's activations, for memory", True)
    flip_probability: float = flag("of horizontal flips", 0.5)
    seed: int = flag("of the order of images and of every draw", 0)

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(f"{name}: {getattr(self, name)!r} is none of {choices}")
        if self.size % 32:
            raise UserError(f"size: {self.size} px is no multiple of 32")
        if self.resize < self.size:
            raise UserError(
                f"resize: crops of {self.size} px do not fit into images of {self.resize} px"
            )
        # InstanceNorm wants more than one place
        if self.adversarial and self.size < 2 ** (self.discriminator_depth + 1):
            raise UserError(
                f"size: crops of {self.size} px are too small for a discriminator of depth "
                f"{self.discriminator_depth}; give at least {2 ** (self.discriminator_depth + 1)},"
                " or lower discriminator_depth"
            )

    @property
    def global_batch(self) -> int:
        """Images a step that the decoder is trained on."""
        return self.decoder_batch

    @property
    def images(self) -> int:
        """Images that a step draws."""
        return self.decoder_batch + self.discriminator_batch

    def share(self, name: str, processes: int) -> range:
        """The sizes of one process's micro-batches of `decoder_batch` or `discriminator_batch`."""
        each, rest = divmod(getattr(self, name), processes)
        micro = min(each, self.micro_batch)
        if rest or (micro and each % micro):
            raise UserError(
                f"{name}: {getattr(self, name)} images cannot be dealt out as micro-batches of at "
                f"most {self.micro_batch} to {processes} processes; lower micro_batch, or choose a "
                f"multiple of {self.micro_batch * processes}"
            )
        return range(0, each, micro or 1)

    def accumulation(self, processes: int) -> int:
        """Micro-batches of the decoder a process and step; UserError where batches do not fit."""
        self.share("discriminator_batch", processes)
        if not (count := len(self.share("decoder_batch", processes))):
            raise UserError("decoder_batch: must be at least 1")
        return count
