"""The F16 VAE: a pretrained F8 AutoencoderKL at twice its downsampling, without training.

Paper, section 3.1 ("partitioned VAE"). The encoder's first convolution takes every second pixel and
the decoder's last one sees its input enlarged twice (nearest neighbour). The weights and the
state-dict keys stay those of the F8 model, so `save_pretrained` writes a plain F8 VAE, and
`make_pipeline_f16` has to be called after every load.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusion4k.damage import loading
from diffusion4k.errors import UserError
from diffusion4k.weights import SAFELY, variant

FACTOR = 16  # pixels a latent, each way

# conv_in's (stride, padding, dilation). "stride" is the released code. "dilation" is the paper's
# text: with dilation 2 the 3x3 kernel spans 5 px, so the padding has to be 2 for 2h pixels to give
# h latents on the released grid; diffusers' own padding of 1 would lose a row and a column. It is
# then exactly the F8 encoder on every second pixel.
ENCODERS = {"stride": (2, 1, 1), "dilation": (2, 2, 2)}


def upsampled(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Nearest x2, then the 3x3 convolution: the definition, and the most memory.

    x (B, C, H, W), weight (O, C, 3, 3), bias (O,) => (B, O, 2H, 2W).
    """
    return F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), weight, bias, padding=1)


def fold(weight: Tensor) -> Tensor:
    """3x3 taps on the enlarged map => the 2x2 taps of its four phases on the small one.

    (O, C, 3, 3) => (2, 2, O, C, 2, 2), phase (row, column) first. Two neighbours on the enlarged
    map that copy the same pixel share a tap, which is the sum of theirs: the even phase reads
    (w0 | w1 + w2), the odd one (w0 + w1 | w2).
    """

    def phases(w: Tensor, dim: int) -> Tensor:
        first, middle, last = w.unbind(dim)
        even = torch.stack([first, middle + last], dim)
        odd = torch.stack([first + middle, last], dim)
        return torch.stack([even, odd])

    return phases(phases(weight, -1), -2)


def folded(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`upsampled` without the enlarged map: one 2x2 convolution on the small grid. Exact.

    At 4096 px the enlarged map would have 2^31 elements; this needs a ninth of the arithmetic and
    an eighth of the memory. Shapes as `upsampled`; gradients are the same too.
    """
    height, width = x.shape[-2:]
    # sums of taps are rounded once, when the convolution casts them, not twice
    taps = fold(weight.to(torch.promote_types(weight.dtype, torch.float32))).to(weight.dtype)
    biases = None if bias is None else bias.repeat(4)
    grid = F.conv2d(x, taps.flatten(0, 2), biases, padding=1).unflatten(1, (2, 2, -1))
    rows = [
        torch.stack([grid[:, a, b, :, a : a + height, b : b + width] for b in (0, 1)], dim=-1)
        for a in (0, 1)
    ]  # each (B, O, H, W, 2): the columns of one row phase, interleaved
    return torch.stack(rows, dim=-3).flatten(-2).flatten(-3, -2)


def partitioned(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The released partition: 2x2 blocks with 1 px of overlap, each enlarged, convolved, cropped.

    The crop starts at 1 where 2 would be right, so that the result is `upsampled` shifted by
    (+1, +1) px; its first row and column see the padding. Shapes as `upsampled`.
    """

    def halves(size: int) -> list[tuple[slice, int, int, int]]:
        """(pixels read, zeros before, zeros after, pixels owned) of either half."""
        half = size // 2
        return [(slice(0, half + 1), 1, 0, half), (slice(half - 1, size), 0, 1, size - half)]

    rows = []
    for down, above, below, height in halves(x.shape[-2]):
        blocks = []
        for across, left, right, width in halves(x.shape[-1]):
            block = F.pad(x[:, :, down, across], (left, right, above, below))
            block = upsampled(block, weight, bias)
            blocks.append(block[:, :, 1 : 1 + 2 * height, 1 : 1 + 2 * width])
        rows.append(torch.cat(blocks, dim=-1))
    return torch.cat(rows, dim=-2)


DECODERS = {"folded": folded, "upsample": upsampled, "published": partitioned}


class UpsamplingConv(nn.Module):
    """A 3x3 convolution on its input enlarged twice, (B, C, H, W) => (B, O, 2H, 2W).

    It takes over the parameters of `conv` under the same names, `weight` and `bias`; `form` is a
    key of DECODERS. In the decoder it stands for `conv_out`, after normalisation and SiLU, which
    act on each value alone and so commute with the enlargement.
    """

    def __init__(self, conv: nn.Module, form: str):
        super().__init__()
        self.weight = conv.weight
        self.bias = conv.bias
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        return DECODERS[self.form](x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"form={self.form}"


def make_f16(vae: nn.Module, *, encoder: str = "stride", decoder: str = "folded") -> nn.Module:
    """Turn a diffusers AutoencoderKL of factor 8 into one of factor 16, in place; returns it.

    encoder: a key of ENCODERS, decoder: a key of DECODERS (UserError for others). Images have
    sides that are multiples of 16 px. Calling it again changes the forms. Tiling works, with tiles
    of `tile_sample_min_size` px.
    """
    if encoder not in ENCODERS:
        raise UserError(f"no encoder form {encoder!r}; choose from {', '.join(ENCODERS)}")
    if decoder not in DECODERS:
        raise UserError(f"no decoder form {decoder!r}; choose from {', '.join(DECODERS)}")
    conv_in = vae.encoder.conv_in
    conv_in.stride, conv_in.padding, conv_in.dilation = ((n, n) for n in ENCODERS[encoder])
    vae.decoder.conv_out = UpsamplingConv(vae.decoder.conv_out, decoder)
    vae.tile_latent_min_size = vae.tile_sample_min_size // FACTOR
    return vae


def load_f16(root, *, dtype, device, encoder: str = "stride", decoder: str = "folded") -> nn.Module:
    """The VAE of the pipeline folder `root`, made F16, frozen; UserError when it is not there."""
    from diffusers import AutoencoderKL

    folder = Path(root) / "vae"
    with loading(folder, "a VAE that diffusers can load"):
        options = {"torch_dtype": dtype, "variant": variant(folder)} | SAFELY
        vae = AutoencoderKL.from_pretrained(root, subfolder="vae", **options)
    return make_f16(vae, encoder=encoder, decoder=decoder).to(device).eval().requires_grad_(False)


def make_pipeline_f16(pipeline, *, encoder: str = "stride", decoder: str = "folded"):
    """`make_f16` for a pipeline's VAE, and the factor where the pipeline keeps it; returns it.

    The image processor's factor keeps its ratio to the VAE's: 16 for SD3, 32 for Flux, which packs
    latents 2x2. Diffusers computes 8 on every load and does not save what is set here.
    """
    ratio = pipeline.image_processor.config.vae_scale_factor // pipeline.vae_scale_factor
    make_f16(pipeline.vae, encoder=encoder, decoder=decoder)
    pipeline.vae_scale_factor = FACTOR
    pipeline.image_processor = type(pipeline.image_processor)(vae_scale_factor=FACTOR * ratio)
    return pipeline
