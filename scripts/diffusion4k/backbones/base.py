"""What the trainer, the sampler and the plan ask of a backbone, and what all have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from diffusion4k.backbones.architecture import Architecture, Config

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Sampled(Protocol):
    """What the sampler asks of a kind of pipeline, a backbone's or not."""

    name: str
    class_name: str  # of the pipeline, in diffusers
    # those of steps, guidance, t5_tokens that the pipeline takes, with their values by default
    defaults: dict[str, float | int]
    multiple: int  # what a picture's sides must be multiples of, px

    def call_arguments(self, *, t5_tokens: int, negative_prompt: str) -> dict[str, Any]:
        """The keyword arguments of the pipeline's call that differ between pipelines."""


class Backbone(ABC):
    """A latent diffusion model that trains; it has no state.

    Name, class, defaults and multiple are as of Sampled; `transformer_class` is diffusers' too,
    `architecture` the released one. B: batch, h, w: latent size, T: text tokens, D, P: widths.
    """

    name: ClassVar[str]
    class_name: ClassVar[str]
    transformer_class: ClassVar[str]
    architecture: ClassVar[Architecture]
    defaults: ClassVar[dict[str, float | int]]
    multiple: ClassVar[int] = 32  # a token is 2 x 2 latents of 16 px

    @abstractmethod
    def encode_text(
        self, pipeline, prompts: list[str], t5_tokens: int, device
    ) -> list[dict[str, Tensor]]:
        """One {"prompt_embeds": (T, D), "pooled": (P,)} a prompt, in the encoders' dtype.

        Equals the pipeline's own `encode_prompt` with `t5_tokens` as its maximum sequence length;
        the pipeline may have been loaded without its transformer.
        """

    def load_transformer(self, root: Path, dtype: torch.dtype) -> torch.nn.Module:
        """The transformer of `root/transformer`, a diffusers folder."""
        import diffusers

        from diffusion4k.weights import SAFELY, variant

        options = {"torch_dtype": dtype, "variant": variant(root / "transformer")} | SAFELY
        return getattr(diffusers, self.transformer_class).from_pretrained(
            root, subfolder="transformer", **options
        )

    def normalise(self, z: Tensor, scaling: float, shift: float, *, subtract_shift: bool) -> Tensor:
        """Raw VAE latents => what the transformer is trained on, same shape.

        (z - shift) * scaling, or z * scaling: as released, SD3's training leaves the shift in,
        though decoding adds it.
        """
        return (z - shift) * scaling if subtract_shift else z * scaling

    @abstractmethod
    def sigmas(
        self, u: Tensor, *, image_tokens: int, shifted: bool, schedule_shift: float
    ) -> Tensor:
        """Draws u (B,) in [0, 1) => noise levels sigma (B,) in (0, 1], float32.

        `shifted`: the shift depends on `image_tokens`, the transformer's tokens an image, as it
        does when Flux samples.
        """

    @abstractmethod
    def draw_u(self, generator: torch.Generator) -> float:
        """One draw of the timestep law, in [0, 1]."""

    @abstractmethod
    def velocity(
        self,
        transformer: torch.nn.Module,
        noisy: Tensor,
        sigma: Tensor,
        prompt_embeds: Tensor,
        pooled: Tensor,
        guidance: float,
    ) -> Tensor:
        """The predicted velocity, noise minus latent, (B, 16, h, w).

        noisy (B, 16, h, w) = (1 - sigma) latent + sigma noise, sigma (B,), prompt_embeds
        (B, T, D), pooled (B, P). `transformer` may be wrapped by DDP or DeepSpeed.
        """

    @abstractmethod
    def call_arguments(self, *, t5_tokens: int, negative_prompt: str) -> dict[str, Any]:
        """As of Sampled."""

    @abstractmethod
    def predictions(self, guidance: float) -> int:
        """How many predictions a denoising step takes at this guidance scale, batched or not."""

    @abstractmethod
    def forward_flops(self, config: Config, *, image: int, text: int) -> int:
        """FLOPs of one prediction for one picture of `image` tokens with `text` tokens.

        `config`: of a transformer of this class, the released one's or another's. A multiply-add
        counts as two; norms and activations are left out.
        """

    @abstractmethod
    def attention_flops(self, config: Config, *, image: int, text: int) -> int:
        """The part of `forward_flops` that is attention."""
