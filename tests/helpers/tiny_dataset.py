"""A data set of photographs made from noise; reconstruct.py and distance.py run on it."""

import json
import time
from pathlib import Path

import numpy as np
from PIL import Image

from diffusion4k import images, manifest
from diffusion4k.files import walk


def photograph(seed: int, height: int = 90, width: int = 120) -> np.ndarray:
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def disturbed(pixels: np.ndarray, strength: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, strength, pixels.shape)
    return np.clip(pixels + noise, 0, 255).round().astype(np.uint8)


def source(root: Path, name: str, files=(), notes=()) -> Path:
    path = root / f"{name}.json"
    (root / name).mkdir(exist_ok=True)
    manifest.write(
        path,
        root=root / name,
        files=files or walk(root / name),
        inputs={},
        settings={},
        started=time.time(),
        notes=notes,
    )
    return path


def write_dataset(root: Path, count: int) -> Path:
    folder = root / "data" / "train"
    folder.mkdir(parents=True)
    lines = []
    for i in range(count):
        images.save_png(folder / f"p{i}.png", photograph(i, 80 + i, 100))
        lines.append(json.dumps({"file_name": f"p{i}.png", "text": "a photograph"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return source(root, "data", notes=["made from noise"])


def run(script, *flags: object) -> manifest.Manifest:
    args = script.parser().parse_args([str(flag) for flag in flags])
    script.run(args)
    return manifest.read(args.output)


def rounded(decoded: np.ndarray) -> np.ndarray:
    """float CHW in [-1, 1] (clipped) => uint8 HWC, as diffusers does it in numpy."""
    unit = np.clip(np.asarray(decoded, dtype=np.float32) / 2 + 0.5, 0.0, 1.0)
    return (unit * 255).round().astype(np.uint8).transpose(1, 2, 0)
