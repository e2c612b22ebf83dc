"""A data set's photographs, as figures show them."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from diffusion4k import images


def reference(path: Path, height: int, width: int) -> Image.Image:
    """A photograph in `height` x `width` px, upright, central crop, as in training and distances.

    FID's reference is cropped alike, and lies as its file does (metrics/inputs.py).
    """
    image = images.load_rgb(path, exif_transpose=True)
    return images.center_crop(images.resize_shorter_side(image, (height, width)), (height, width))


def thumbnail(path: Path, length: int = 768) -> tuple[Image.Image, int, int]:
    """A photograph, upright, in `length` px at most; its own height and width."""
    image = images.load_rgb(path, exif_transpose=True)
    height, width = image.height, image.width
    image.thumbnail((length, length), Image.Resampling.LANCZOS)
    return image, height, width


def jpeg_ratio(pixels: np.ndarray) -> float:
    """Compression Ratio of uint8 (H, W, 3) pixels: their bytes over those of the JPEG file."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, **images.JPEG)
    return pixels.nbytes / len(file.getvalue())
