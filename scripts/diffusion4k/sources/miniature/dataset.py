"""A data set laid out like Aesthetic-4K, 1/16 of its size, cut from a dozen photographs; others."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from diffusion4k.cli import progress
from diffusion4k.files import write_text
from diffusion4k.images import resize_shorter_side, save_jpeg, save_png
from diffusion4k.sources.miniature.photographs import PHOTOGRAPHS, UNSEEN, Photograph


@dataclass(frozen=True)
class Split:
    """One folder: which photographs, how many crops of each, their least shorter side in px."""

    folder: str
    photographs: tuple[Photograph, ...]
    crops: int
    min_side: int
    shrink: tuple[float, float]


@dataclass(frozen=True)
class Crop:
    """One captioned image of a split; `file_name` is relative to the split's folder."""

    file_name: str
    text: str
    image: Image.Image


def splits(size: int, small_size: int) -> tuple[Split, Split, Split]:
    """Training and the two evaluation sets; `size` stands for 4096 px, `small_size` for 2048.

    Evaluation crops show nearly the whole frame, training crops a little less of it, each at
    another position: no evaluation image is a training image.
    """
    return (
        Split("train", PHOTOGRAPHS, 3, size, (0.90, 0.97)),
        Split("eval/size_2048", PHOTOGRAPHS, 1, small_size, (0.97, 1.0)),
        Split("eval/size_4096", PHOTOGRAPHS[:6], 1, size, (0.97, 1.0)),
    )


def crops(split: Split, seed: int) -> Iterator[Crop]:
    """The split's images: rectangles of the frame's shape, shorter side 1 to 1.1 x min_side."""
    for photograph in split.photographs:
        whole = photograph.open()
        for number in range(split.crops):
            key = f"{seed}/{split.folder}/{photograph.name}/{number}".encode()
            generator = np.random.default_rng(list(key))
            # photographs of the sciences come without loss, the others as cameras write them
            suffix = "png" if photograph.name in ("retina", "hubble", "ihc") else "jpg"
            name = f"{photograph.name}-{number}.{suffix}"
            image = _cut(whole, generator, split.shrink, split.min_side)
            yield Crop(name, photograph.captions[number], image)


def make(folder: Path, *, size: int, small_size: int, seed: int) -> tuple[list[Path], dict]:
    """Write the data set below `folder`; returns its files and the number of images a split."""
    files, counts = [], {}
    for split in splits(size, small_size):
        where, made, texts = folder / split.folder, [], []
        for crop in progress(crops(split, seed), desc=split.folder, unit="image"):
            made.append(where / crop.file_name)
            save = save_png if crop.file_name.endswith(".png") else save_jpeg
            save(made[-1], np.asarray(crop.image))
            texts.append(crop.text)
        files += [*made, _list(where, made, texts)]
        counts[split.folder] = len(made)
    return files, counts


def make_photographs(folder: Path, *, size: int, seed: int) -> tuple[list[Path], dict]:
    """Write images to train a VAE on, and photographs that no training sees; as `make` returns.

    `seen`: the training crops in colour and in grey, as most of the others are, without captions;
    `unseen`: those others whole, with a caption each. The shorter side is `size` px or little more.
    """
    seen, unseen = folder / "seen", folder / "unseen"
    train = splits(size, size)[0]
    files = []
    for crop in progress(crops(train, seed), desc="seen", unit="image"):
        for name, image in (("colour", crop.image), ("grey", crop.image.convert("L"))):
            files.append(seen / f"{Path(crop.file_name).stem}-{name}.png")
            save_png(files[-1], np.asarray(image.convert("RGB")))
    counts = {"seen": len(files), "unseen": len(UNSEEN)}
    whole = [unseen / f"{photograph.name}.png" for photograph in UNSEEN]
    for photograph, file in zip(UNSEEN, whole, strict=True):
        save_png(file, np.asarray(resize_shorter_side(photograph.open(), size)))
    texts = [photograph.captions[0] for photograph in UNSEEN]
    return [*files, *whole, _list(unseen, whole, texts)], counts


def _list(folder: Path, files: list[Path], texts: list[str]) -> Path:
    lines = [
        json.dumps({"file_name": file.name, "text": text}) + "\n"
        for file, text in zip(files, texts, strict=True)
    ]
    write_text(folder / "metadata.jsonl", "".join(lines))
    return folder / "metadata.jsonl"


def _cut(
    whole: Image.Image,
    generator: np.random.Generator,
    shrink: tuple[float, float],
    min_side: int,
) -> Image.Image:
    scale = generator.uniform(*shrink)
    width, height = (round(scale * side) for side in whole.size)
    left, top = (
        int(generator.integers(0, side - kept + 1))
        for side, kept in zip(whole.size, (width, height), strict=True)
    )
    factor = min_side * generator.uniform(1.0, 1.1) / min(width, height)
    # rounded up: the shorter side never falls below min_side
    target = (int(np.ceil(width * factor)), int(np.ceil(height * factor)))
    box = (left, top, left + width, top + height)
    return whole.resize(target, Image.Resampling.LANCZOS, box=box)
