"""How many floating-point operations a picture takes, from the networks' configs alone.

Matrix products, convolutions and attention, a multiply-add counted as two, as
torch.utils.flop_counter counts them (tests/estimate/test_flops.py). Norms, activations and the
text encoders are left out: below 1 % at 4096 px. Configs are diffusers'; each backbone counts its
own transformer (backbones/), the VAE's arithmetic is here.
"""

from diffusion4k.backbones.architecture import Architecture, Config
from diffusion4k.backbones.base import Backbone


def tokens(height: int, width: int, factor: int = 16) -> int:
    """Image tokens of a picture of height x width px whose VAE has this factor."""
    return (height // (2 * factor)) * (width // (2 * factor))


def forward(backbone: Backbone, architecture: Architecture, **shape: int) -> int:
    """One prediction of the backbone's transformer for one picture, of `shape` as in `_tokens`.

    Classifier-free guidance takes two (`backbone.predictions`). `architecture`: the released one,
    `backbone.architecture`, or the miniature's.
    """
    return backbone.forward_flops(architecture.transformer, **_tokens(architecture, **shape))


def attention(backbone: Backbone, architecture: Architecture, **shape: int) -> int:
    """The part of `forward` that is attention."""
    return backbone.attention_flops(architecture.transformer, **_tokens(architecture, **shape))


def _tokens(
    architecture: Architecture, *, height: int, width: int, t5_tokens: int, factor: int = 16
) -> dict[str, int]:
    """Those of a picture of height x width px and of its text, by a VAE of this factor."""
    return {
        "image": tokens(height, width, factor),
        "text": architecture.clip_tokens + t5_tokens,
    }


def training(forward_flops: float, *, recompute: bool, kept: float = 0) -> float:
    """A training step: the backward pass costs twice the forward; recomputing, once more.

    `kept` is the part of the forward pass that is kept instead.
    """
    return forward_flops * (4 if recompute else 3) - (kept if recompute else 0)


def encode(config: Config, *, height: int, width: int, factor: int = 16) -> int:
    """The VAE's encoder for one picture of height x width px; factor 16: conv_in strides by 2."""
    channels, layers = config["block_out_channels"], config["layers_per_block"]
    area = height * width // (factor // 8) ** 2
    total, before = _conv(3, channels[0], area), channels[0]
    for stage, out in enumerate(channels):
        for layer in range(layers):
            total += _resnet(before if layer == 0 else out, out, area)
        before = out
        if stage < len(channels) - 1:
            area //= 4
            total += _conv(out, out, area)
    return total + _middle(config, area) + _conv(before, 2 * config["latent_channels"], area)


def decode(
    config: Config, *, height: int, width: int, factor: int = 16, form: str = "folded"
) -> int:
    """The VAE's decoder for one picture of height x width px; `form`: of the last F16 convolution.

    `folded` has four 2x2 taps a pixel of the small grid, `upsample` nine a pixel of the large one,
    `published` the same on blocks that overlap.
    """
    channels, layers = config["block_out_channels"][::-1], config["layers_per_block"] + 1
    rows, columns = height // factor, width // factor
    area = rows * columns
    total = _conv(config["latent_channels"], channels[0], area) + _middle(config, area)
    before = channels[0]
    for stage, out in enumerate(channels):
        for layer in range(layers):
            total += _resnet(before if layer == 0 else out, out, area)
        before = out
        if stage < len(channels) - 1:
            rows, columns, area = 2 * rows, 2 * columns, 4 * area
            total += _conv(out, out, area)
    if factor == 8:
        return total + _conv(before, 3, area)
    if form == "folded":
        return total + 2 * 4 * before * 12 * (rows + 1) * (columns + 1)
    margin = 4 if form == "published" else 0
    return total + _conv(before, 3, 4 * (rows + margin) * (columns + margin))


def _conv(inputs: int, outputs: int, area: int, taps: int = 9) -> int:
    return 2 * taps * inputs * outputs * area


def _resnet(inputs: int, outputs: int, area: int) -> int:
    shortcut = _conv(inputs, outputs, area, taps=1) if inputs != outputs else 0
    return _conv(inputs, outputs, area) + _conv(outputs, outputs, area) + shortcut


def _middle(config: Config, area: int) -> int:
    """Two residual blocks and, between them, one head of attention over every latent."""
    width = config["block_out_channels"][-1]
    total = 2 * _resnet(width, width, area)
    if config.get("mid_block_add_attention", True):
        total += 8 * width**2 * area + 4 * area**2 * width
    return total
