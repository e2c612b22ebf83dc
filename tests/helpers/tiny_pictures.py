"""Small pictures made from noise, sets of them, and such as are not to be scored."""

import time
from pathlib import Path

import numpy as np
from PIL import Image

from diffusion4k import images, manifest


def picture(seed: int, height: int = 96, width: int = 96) -> Image.Image:
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def write_folder(folder: Path, seed: int = 0) -> Path:
    """Five JPEGs of 128 px, encoded as generated ones."""
    for i in range(5):
        pixels = np.asarray(picture(seed + i, 128, 128))
        images.save_jpeg(folder / f"p{i}.jpg", pixels)
    return folder


def generated(root: Path, sizes: dict[str, tuple[int, int]], **settings) -> Path:
    files = [root / "images" / f"{id}.jpg" for id in sizes]
    for file, size in zip(files, sizes.values(), strict=True):
        images.save_jpeg(file, np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
    path = root / "shard-0-of-1.json"
    manifest.write(
        path, root=root, files=files, inputs={}, settings=settings, started=time.time(), notes=["n"]
    )
    return path


def relist(path: Path, *more: Path) -> None:
    """Make a manifest anew, as if its files, and `more`, had come as they now are."""
    old = manifest.read(path)
    files = {file for file in (*old.paths(), *more) if file.is_file()}
    manifest.write(
        path,
        root=old.root,
        files=files,
        inputs=old.inputs,
        settings=old.settings,
        started=time.time(),
        notes=old.notes,
    )


def write_deep(path, shape):
    """16-bit noise, as OpenCV writes it: 1 (no third axis), 3 or 4 channels."""
    import cv2

    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 65536, shape, np.uint16))


def of_another_size(path: Path) -> None:
    Image.open(path).resize((96, 128)).save(path)
