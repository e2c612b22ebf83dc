"""The recipe of a training: every setting that decides its weights, and its command-line flag."""

import argparse
import dataclasses
from dataclasses import MISSING, dataclass

from diffusion4k import limits
from diffusion4k.errors import UserError

CHOICES = {
    "objective": ("velocity", "wavelet_x0", "wavelet_velocity"),
    "timestep_shift": ("none", "dynamic"),
    "optimizer": ("adamw", "adamw_8bit", "adamw_8bit_bf16"),
    "precision": ("float32", "bfloat16"),
    "attention": ("flash", "cudnn"),
    "zero_stage": (0, 2),
}


def flag(text: str, default=MISSING, **within: float):
    """A field of a recipe; `text` is its flag's help, `within` its limits (limits.number)."""
    return dataclasses.field(default=default, metadata={"help": text, "within": within})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A field is a flag: `learning_rate` is `--learning-rate`. Defaults are the released recipe."""

    backbone: str = flag("the latent diffusion model: sd3 or flux")
    objective: str = flag(
        "the loss: `velocity`, flow matching; `wavelet_x0`, sub-bands as released; "
        "`wavelet_velocity`, by the paper's formula",
        "wavelet_x0",
    )
    wavelet: str = flag("a discrete wavelet of PyWavelets", "haar")
    levels: int = flag("levels of the transform", 1, ge=1)
    band_weights: tuple[float, ...] = flag(
        "weights of LL LH HL HH for all levels, or 1 + 3 * levels of them, coarse to fine",
        (1.0,) * 4,
        ge=0,
    )
    subtract_shift: bool = flag(
        "subtract the VAE's shift from latents (released SD3 code does not)", True
    )
    timestep_shift: str = flag("`dynamic`: shift sigmas by the number of tokens", "none")
    guidance: float = flag(
        "value of the guidance embedding, for a distilled backbone (Flux)", 3.5, ge=0
    )
    optimizer: str = flag(
        "`adamw`: fp32 states; `adamw_8bit`: bitsandbytes' 8-bit states, not with offloading; "
        "`adamw_8bit_bf16`: these, bf16 weights rounded stochastically, steps inside the backward "
        "pass; with `zero_stage: 0`, `clip: 0`, one GPU, `global_batch` = `micro_batch` "
        "(docs/training.md)",
        "adamw",
    )
    learning_rate: float = flag("of AdamW, constant after the warm-up", 1e-6, gt=0)
    weight_decay: float = flag("of AdamW", 1e-4, ge=0)
    beta1: float = flag("of AdamW", 0.9, ge=0, lt=1)
    beta2: float = flag("of AdamW", 0.999, ge=0, lt=1)
    epsilon: float = flag("of AdamW", 1e-8, gt=0)
    clip: float = flag("largest norm of the gradient; 0: any", 1.0, ge=0)
    warmup_steps: int = flag("steps of linear warm-up", 0, ge=0)
    global_batch: int = flag("images a step, over all GPUs", ge=1)
    micro_batch: int = flag("images a GPU holds at once; the rest is gradient accumulation", ge=1)
    repeat_draws_every: int = flag(
        "slots of the batch after which crops, flips, timesteps and noise repeat, as the released "
        "code's on every GPU (SD3 8, Flux 4); 0: never",
        0,
        ge=0,
    )
    precision: str = flag(
        "`bfloat16`: mixed, with float32 master weights; or `float32`", "bfloat16"
    )
    gradient_checkpointing: bool = flag("recompute activations: less memory, slower", True)
    keep_attention: bool = flag(
        "when recomputing, keep the outputs of attention: the same gradients, a sixth (SD3) "
        "or an eighth (Flux) less arithmetic at 4096 px, 1.2 or 5.8 GB more an image",
        False,
    )
    attention: str = flag(
        "its kernel on a GPU: `flash`, PyTorch's FlashAttention; `cudnn`, of a Hopper GPU, in "
        "bfloat16, nearly twice as fast by itself, not yet tried in a training (docs/training.md)",
        "flash",
    )
    compile: bool = flag(
        "torch.compile the transformer: a slow first step, then faster; other last bits", False
    )
    deterministic: bool = flag(
        "torch's deterministic kernels alone, for VAEs' training as well: on GPUs, too, a resumed "
        "training is then the same bit for bit; what that costs was not measured",
        False,
    )
    flip_probability: float = flag("of horizontal flips", 0.5, ge=0, le=1)
    zero_stage: int = flag("DeepSpeed ZeRO: 2 shards gradients and optimizer; 0: no DeepSpeed", 0)
    offload_optimizer: bool = flag("keep the optimizer's states in CPU memory (ZeRO 2)", False)
    seed: int = flag("of the order of samples and of every draw", 0, ge=0, le=2**63 - 1)

    def __post_init__(self):
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(f"{name}: {getattr(self, name)!r} is none of {choices}")
        if self.objective == "velocity" and len(set(self.band_weights)) > 1:
            raise UserError(
                "band_weights: the objective velocity has no bands; choose wavelet_velocity, or "
                "leave all weights 1"
            )
        if self.attention == "cudnn" and self.precision != "bfloat16":
            raise UserError(
                f"attention: cuDNN's takes no {self.precision}; set precision: bfloat16, or "
                "attention: flash"
            )
        if self.attention == "cudnn" and self.deterministic:
            raise UserError(
                "attention: cuDNN's is no deterministic kernel; set deterministic: false, or "
                "attention: flash"
            )
        if self.offload_optimizer and not self.zero_stage:
            raise UserError("offload_optimizer: only ZeRO offloads; set zero_stage: 2")
        if self.offload_optimizer and self.optimizer != "adamw":
            raise UserError(
                f"optimizer: {self.optimizer} stays on the GPU (offloaded, DeepSpeed would replace "
                "it by its fp32 CPU Adam); set offload_optimizer: false"
            )
        if self.in_backward:
            self._refuse_in_backward()

    @property
    def in_backward(self) -> bool:
        """Whether weights are bfloat16 alone and step inside the backward pass."""
        return self.optimizer == "adamw_8bit_bf16"

    def _refuse_in_backward(self) -> None:
        steps = "adamw_8bit_bf16 takes each weight's step inside the backward pass"
        if self.zero_stage:
            raise UserError(f"zero_stage: {steps}, which DeepSpeed does not; set zero_stage: 0")
        if self.precision != "bfloat16":
            raise UserError(
                f"precision: {self.precision}, but adamw_8bit_bf16 keeps its weights in bfloat16; "
                "set precision: bfloat16"
            )
        if self.clip:
            raise UserError(
                f"clip: {steps}, before the norm of the whole gradient is known, so it cannot clip "
                "at it; set clip: 0 (the norm is logged)"
            )

    def accumulation(self, processes: int) -> int:
        """Micro-batches a process and step, so that the global batch is kept on any GPUs."""
        if self.in_backward and (processes, self.micro_batch) != (1, self.global_batch):
            raise UserError(
                "global_batch: adamw_8bit_bf16 frees each gradient at once, so a step is one "
                f"micro-batch of one process, not {self.global_batch} images as micro-batches of "
                f"{self.micro_batch} on {processes}; use one process, and set global_batch to "
                "micro_batch"
            )
        count, rest = divmod(self.global_batch, self.micro_batch * processes)
        if not count or rest:
            raise UserError(
                f"global_batch: {self.global_batch} images cannot be dealt out as micro-batches of "
                f"{self.micro_batch} to {processes} processes; lower micro_batch, or choose a "
                f"multiple of {self.micro_batch * processes}"
            )
        return count

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0: constant after the warm-up."""
        return self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup_steps))


def add_arguments(parser: argparse.ArgumentParser, recipe=Settings, choices=CHOICES) -> None:
    """One flag for each field of a recipe; `choices`: those of some, by name."""
    for field in dataclasses.fields(recipe):
        options = {"help": field.metadata["help"], "default": field.default}
        if field.default is MISSING:
            options = {"help": options["help"], "required": True}
        if field.type is bool:
            options |= {"action": argparse.BooleanOptionalAction}
        elif field.type is str or field.name in choices:
            options |= {"type": field.type, "choices": choices.get(field.name)}
        else:
            many = field.type not in (int, float)
            of = limits.number(float if many else field.type, **field.metadata["within"])
            options |= {"type": of} | ({"nargs": "+"} if many else {})
        parser.add_argument("--" + field.name.replace("_", "-"), **options)


def from_arguments(args: argparse.Namespace, recipe=Settings):
    """The recipe that the flags of `add_arguments` give."""
    values = {field.name: getattr(args, field.name) for field in dataclasses.fields(recipe)}
    return recipe(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
