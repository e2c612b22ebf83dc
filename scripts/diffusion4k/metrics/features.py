"""Everything neural about images in one pass: CLIPScore, Aesthetics, Inception features.

Each image is decoded once, ahead of its batch.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from diffusion4k import cli
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.manifest import Manifest
from diffusion4k.metrics import aesthetics, clip, inception, inputs
from diffusion4k.metrics.scores import Alignment, SavedScores, Scored
from diffusion4k.shape import Size


@dataclass(frozen=True)
class Item:
    """An image to score: how to decode it, and its prompt."""

    id: str
    load: Callable[[], Image.Image]
    prompt: str


def generated(pictures: Sequence[inputs.Picture], dataset: Manifest, folder: str) -> list[Item]:
    """Generated images with their prompts."""
    captioned = inputs.prompts(dataset, folder, pictures)
    return [Item(p.id, p.load, captioned[p.id].text) for p in pictures]


def photographs(captioned: Sequence[CaptionedImage], size: Size) -> list[Item]:
    """Photographs as the released evaluation prepares them, of `size` px."""

    def loader(image: CaptionedImage) -> Callable[[], Image.Image]:
        return lambda: inputs.photograph(image.sound(), size, upright=False)

    return [Item(image.id, loader(image), image.text) for image in captioned]


class Scorer:
    """Items and their pictures => an Alignment row and the features of each.

    `sources`: manifests of clip, clip_large, aesthetics_head, inception and, for clean-fid's
    features too, inception_clean. `crop` (px) and `crops` (along each side) are of the patches.
    `prepare` maps a function over images, as Executor.map does.
    """

    def __init__(
        self,
        sources: Mapping[str, Manifest],
        device: torch.device,
        *,
        crop: int,
        crops: int,
        prepare: Callable,
    ):
        self.crop, self.crops = crop, crops
        self.clip = clip.Clip(inputs.whole(sources["clip"]), device, prepare=prepare)
        large = clip.Clip(inputs.whole(sources["clip_large"]), device, prepare=prepare)
        self.aesthetics = aesthetics.Aesthetics(large, inputs.weights(sources["aesthetics_head"]))
        self.inception = inception.Inception(inputs.weights(sources["inception"]), device)
        self.clean = None
        if source := sources.get("inception_clean"):
            weights = inputs.weights(source)
            digest = inputs.checksum(source, weights)
            self.clean = inception.CleanInception(weights, digest, device, prepare=prepare)

    def __call__(self, batch: Sequence[Item], pictures: Sequence[Image.Image]) -> list[Scored]:
        aligned = self.clip.score(pictures, [item.prompt for item in batch])
        columns = zip(batch, aligned, self.aesthetics.score(pictures), strict=True)
        rows = [
            Alignment(i.id, c.published, c.with_end_token, c.n_tokens, beautiful)
            for i, c, beautiful in columns
        ]
        return list(zip(rows, self.features(pictures), strict=True))

    def features(self, pictures: Sequence[Image.Image]) -> list[dict[str, np.ndarray]]:
        """An image's arrays (rows, 2048): one row of the whole, one of each crop."""
        pixels = [np.asarray(picture) for picture in pictures]
        cropped = [crop for p in pixels for crop in inception.crops(p, self.crop, self.crops)]
        arrays = {"features": self.inception(pixels), "patches": self.inception(cropped)}
        if self.clean:
            arrays["clean"] = self.clean(pixels)
        parts = {name: np.split(values, len(pixels)) for name, values in arrays.items()}
        return [{name: part[i] for name, part in parts.items()} for i in range(len(pixels))]


def in_batches(
    items: Sequence[Item], size: int, score: Callable, pool: Executor
) -> Iterator[Scored]:
    """Rows and features of the items in turn; while one batch is scored, the next is decoded."""
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    coming = [pool.submit(item.load) for item in batches[0]] if batches else []
    for batch, following in itertools.zip_longest(batches, batches[1:], fillvalue=()):
        pictures = [picture.result() for picture in coming]
        coming = [pool.submit(item.load) for item in following]
        yield from score(batch, pictures)


def score_all(
    items: Sequence[Item],
    saves: SavedScores,
    load: Callable[[Callable], Scorer],
    *,
    batch: int,
) -> list[Scored]:
    """Every item's row and features, those of an earlier run from `saves`, the others put there.

    `load` gives the scorer and is called only if there is work; it takes what prepares images.
    """
    done = {item.id: saved for item in items if (saved := saves.get(item.id))}
    waiting = [item for item in items if item.id not in done]
    if waiting:
        with ThreadPoolExecutor(cli.threads()) as pool:
            scored = in_batches(waiting, max(batch, 1), load(pool.map), pool)
            bar = cli.progress(scored, total=len(waiting), desc="features", unit="image")
            for row, features in bar:
                saves.put(row, **features)
                done[row.id] = row, features
    return [done[item.id] for item in items]
