"""A photograph through a VAE and back: the posterior's mean, decoded, rounded to 8 bits."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from diffusion4k import finite, images
from diffusion4k.damage import loading
from diffusion4k.images import rounding
from diffusion4k.vae.f16 import make_f16
from diffusion4k.weights import SAFELY, variant


def load(
    root: Path, *, factor: int, encoder: str, decoder: str, dtype, device, tiling: bool
) -> nn.Module:
    """The VAE in `root`, a pipeline's folder or its own; `factor` 8 or 16 px a latent.

    `tiling` encodes and decodes in blended tiles: little memory, slightly other values.
    """
    from diffusers import AutoencoderKL

    folder = root / "vae" if (root / "vae").is_dir() else root
    with loading(folder, "an AutoencoderKL"):
        options = {"torch_dtype": dtype, "variant": variant(folder)} | SAFELY
        vae = AutoencoderKL.from_pretrained(folder, **options)
    vae.to(device).eval()
    if factor == 16:
        make_f16(vae, encoder=encoder, decoder=decoder)
    if tiling:
        vae.enable_tiling()
        if factor == 8:  # at full resolution inside, so half the side takes an F16 tile's memory
            vae.tile_sample_min_size //= 2
            vae.tile_latent_min_size //= 2
    return vae


@contextmanager
def convolutions(*, tf32: bool) -> Iterator[None]:
    """Whether a GPU's convolutions of float32 are in TensorFloat-32, of all threads."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = tf32
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@torch.inference_mode()
def rebuild(
    vae: nn.Module, image: Image.Image, name: str, *, tf32: bool | None = None
) -> np.ndarray:
    """An RGB image whose sides the VAE's factor divides => uint8 (H, W, 3).

    `tf32` as of `convolutions`; None leaves them as they are. UserError, with the image's `name`,
    when what the VAE makes of it is not finite.
    """
    pixels = torch.from_numpy(images.to_float(image))[None].to(vae.device, vae.dtype)
    with nullcontext() if tf32 is None else convolutions(tf32=tf32):
        decoded = vae.decode(vae.encode(pixels).latent_dist.mode()).sample
    finite.check(f"{vae.config._name_or_path}: its reconstruction of {name}", decoded)
    return rounding.to_bytes(rounding.unit(decoded[0]))
