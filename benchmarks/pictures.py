"""Synthetic photographs for benchmarks that read images."""

from pathlib import Path

import numpy as np
from PIL import Image

from diffusion4k.data.captions import CaptionedImage


def photographs(folder: Path, count: int, *, height: int, width: int) -> list[CaptionedImage]:
    """Smooth random pictures with grain, in px, as quality-95 JPEG, with captions."""
    random, found = np.random.default_rng(0), []
    for index in range(count):
        coarse = random.integers(0, 256, (16, 24, 3), dtype=np.uint8)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        grain = random.integers(-8, 9, (height, width, 1), dtype=np.int16)
        pixels = np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8)
        path = folder / f"{index}.jpg"
        Image.fromarray(pixels).save(path, quality=95)
        found.append(CaptionedImage(str(index), path, f"photograph number {index}"))
    return found
