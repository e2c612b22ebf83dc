"""The recipe of the scale-consistent VAE: every setting that decides its weights, and its flag."""

from dataclasses import dataclass
from typing import ClassVar

from diffusion4k.errors import UserError
from diffusion4k.train.settings import flag
from diffusion4k.vae import DECODERS, ENCODERS

CHOICES = {
    "encoder": ("frozen", "trained"),
    "encoder_form": ENCODERS,
    "decoder_form": DECODERS,
    "precision": ("float32", "bfloat16"),
}


@dataclass(frozen=True, kw_only=True)
class AutoencoderSettings:
    """A field is a flag: `learning_rate` is `--learning-rate`. Defaults are the released recipe."""

    # what the trainer asks of every recipe, and this one leaves no choice in
    zero_stage: ClassVar[int] = 0
    optimizer: ClassVar[str] = "adamw"
    offload_optimizer: ClassVar[bool] = False

    scale_consistency: float = flag(
        "weight of the distance between the decoder's last map, enlarged, and the F8 VAE's",
        1.0,
        ge=0,
    )
    lpips: float = flag("weight of LPIPS with VGG-16; the squared error has weight 1", 0.1, ge=0)
    adversarial: float = flag(
        "weight of the adversarial term, besides the adaptive one; 0: no discriminator",
        0.05,
        ge=0,
    )
    adversarial_start: int = flag("first step with a discriminator", 0, ge=0)
    encoder: str = flag(
        "`frozen`: the latents stay the pretrained VAE's, and models trained on them take the "
        "new decoder as it is",
        "frozen",
    )
    ema: float = flag(
        "decay of the average of the weights, which is what the training gives; it begins "
        "lower, as (1 + n) / (10 + n). 0: no average, the last weights",
        0.9999,
        ge=0,
        lt=1,
    )
    encoder_form: str = flag("first convolution of the F16 VAE, as `vae.encoder`", "stride")
    decoder_form: str = flag("its last convolution, as `vae.decoder`", "published")
    resize: int = flag("what the images' shorter side becomes, in px", 512, ge=1)
    size: int = flag("side of the random square crops in px", 512, ge=1)
    decoder_batch: int = flag("images a step that the decoder is trained on, over all GPUs", ge=1)
    discriminator_batch: int = flag(
        "further images a step, over all GPUs, for the discriminator, a multiple of "
        "`decoder_batch`; 0: it sees the decoder's",
        0,
        ge=0,
    )
    adaptive_group: int = flag(
        "images of `decoder_batch` that share an adaptive weight, from whatever GPUs; 0: all. "
        "Where a GPU's part of them does not fit into `micro_batch`, its pictures are decoded "
        "once more",
        32,
        ge=0,
    )
    micro_batch: int = flag("images a GPU holds at once, at most", ge=1)
    discriminator_hidden: int = flag("width of the discriminator's last convolution", 512, ge=1)
    discriminator_depth: int = flag("its convolutions, each of which halves the sides", 6, ge=1)
    learning_rate: float = flag("of AdamW, constant", 1e-5, gt=0)
    discriminator_learning_rate: float = flag("the discriminator's, constant", 1e-5, gt=0)
    weight_decay: float = flag("of AdamW", 1e-4, ge=0)
    beta1: float = flag("of AdamW", 0.9, ge=0, lt=1)
    beta2: float = flag("of AdamW", 0.999, ge=0, lt=1)
    epsilon: float = flag("of AdamW", 1e-8, gt=0)
    clip: float = flag("largest norm of either network's gradient", 1.0, gt=0)
    precision: str = flag("`float32`, or `bfloat16` (mixed, with float32 weights)", "float32")
    gradient_checkpointing: bool = flag("recompute the decoder's activations, for memory", True)
    deterministic: bool = flag(
        "torch's deterministic kernels alone, as `train.deterministic`", False
    )
    flip_probability: float = flag("of horizontal flips", 0.5, ge=0, le=1)
    seed: int = flag("of the order of images and of every draw", 0, ge=0, le=2**63 - 1)

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(f"{name}: {getattr(self, name)!r} is none of {choices}")
        if self.decoder_batch % self.group:
            raise UserError(
                f"adaptive_group: {self.decoder_batch} images of decoder_batch are no whole groups"
                f" of {self.group}; choose a divisor, or 0 for all of a step"
            )
        if self.discriminator_batch % self.decoder_batch:
            # or some reconstructions would serve more often than others
            raise UserError(
                f"discriminator_batch: {self.discriminator_batch} is neither 0 nor a multiple of"
                f" decoder_batch, {self.decoder_batch}"
            )
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

    @property
    def group(self) -> int:
        """Images that share an adaptive weight."""
        return min(self.adaptive_group or self.decoder_batch, self.decoder_batch)

    def dealt(self, processes: int, process: int = 0) -> tuple[list[list[range]], list[range]]:
        """The slots of a step that one process has, in micro-batches.

        The decoder's, a list a group, then the discriminator's own. Every group is dealt out to
        all processes, so that which images share an adaptive weight depends on neither the number
        of processes nor the micro-batches. UserError where batches do not fit.
        """
        firsts = range(0, self.decoder_batch, self.group)
        name = "decoder_batch" if len(firsts) == 1 else "adaptive_group"
        groups = [self._parts(name, at, self.group, processes, process) for at in firsts]
        further = (self.decoder_batch, self.discriminator_batch)
        return groups, self._parts("discriminator_batch", *further, processes, process)

    def _parts(self, name: str, first: int, images: int, processes: int, process: int):
        """One process's micro-batches of so many slots from `first` on, each a range."""
        each, rest = divmod(images, processes)
        micro = min(each, self.micro_batch)
        if rest or (micro and each % micro):
            raise UserError(
                f"{name}: {images} images cannot be dealt out as micro-batches of at most"
                f" {self.micro_batch} to {processes} processes; lower micro_batch, or choose a"
                f" multiple of {self.micro_batch * processes}"
            )
        begin = first + process * each
        return [range(at, at + micro) for at in range(begin, begin + each, micro or 1)]

    def accumulation(self, processes: int) -> int:
        """Micro-batches of the decoder a process and step; UserError where batches do not fit."""
        return sum(map(len, self.dealt(processes)[0]))
