"""Compression Ratio: raw bytes over JPEG bytes; the lower, the more detail the coder had to keep.

The released code divides N * size^2 * 3 by the sum of the files' bytes: a ratio of sums, which is
not the mean of ratios (11.90 against 13.41 on one set). Here an image's own size counts, and the
files are those that `images.save_jpeg` wrote, with its pinned options.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from diffusion4k.errors import UserError


def sizes(path: str | Path) -> tuple[int, int, int]:
    """(height, width, bytes) of a JPEG file; its raw bytes are height * width * 3.

    Raises UserError for another format, whose bytes would be another metric.
    """
    path = Path(path)
    with Image.open(path) as image:
        if image.format != "JPEG":
            raise UserError(
                f"{path}: {image.format}, but the Compression Ratio counts the bytes of JPEG files;"
                " save it as JPEG of quality 95, 4:2:0"
            )
        return image.height, image.width, path.stat().st_size


def ratio(raw: np.ndarray, compressed: np.ndarray) -> float:
    """The paper's ratio of sums over a set: sum of raw bytes / sum of compressed bytes."""
    return float(np.sum(raw) / np.sum(compressed))
