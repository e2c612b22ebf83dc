"""A shard of pictures to score: pieces of a real photograph, written as the generation does."""

import time
from pathlib import Path

import numpy as np
from glcm import photograph

from diffusion4k import images, manifest


def photograph_shard(root: Path, size: int, count: int) -> Path:
    """A generated shard of `count` JPEGs, as the generation writes it."""
    grey = photograph(size)
    files = [root / "images" / f"i{i}.jpg" for i in range(count)]
    for i, file in enumerate(files):
        images.save_jpeg(file, np.stack([np.roll(grey, 37 * i + c, (0, 1)) for c in range(3)], -1))
    asked = {"height": size, "width": size}
    path = root / "shard-0-of-1.json"
    manifest.write(path, root=root, files=files, inputs={}, settings=asked, started=time.time())
    return path
