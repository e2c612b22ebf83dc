"""Photographs beside what VAEs make of them, in one picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn

from diffusion4k import images
from diffusion4k.vae.reconstruct import rebuild


def save(path: Path, vaes: Sequence[nn.Module], photographs: Sequence[Path], size: int) -> None:
    """A PNG at `path`: a row a photograph, it and each VAE's reconstruction of it from the left.

    Centre squares of `size` px, a multiple of 32, the shorter side resized to it. Atomic.
    """
    rows = []
    for photograph in photographs:
        image = images.load_rgb(photograph, exif_transpose=True)
        image = images.center_crop(images.resize_shorter_side(image, size), size)
        row = [np.asarray(image), *(rebuild(vae, image, photograph.name) for vae in vaes)]
        rows.append(np.concatenate(row, axis=1))
    path.parent.mkdir(parents=True, exist_ok=True)
    images.save_png(path, np.concatenate(rows))
