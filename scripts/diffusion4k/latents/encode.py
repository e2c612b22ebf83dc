"""Encode a captioned image: crops => VAE posteriors, caption => text embeddings.

Reproduces the data pipeline of the released training scripts: exif transpose, RGB, shorter side to
`size` (bilinear, enlarges too), a random crop, [-1, 1]; a flip is a second posterior here. Released
are square crops; others just fit into the resized image in the same way.
"""

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffusion4k import images, shape
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.errors import UserError
from diffusion4k.latents.store import sample_path, valid, write_sample
from diffusion4k.limits import T5_TOKENS


@dataclass(frozen=True)
class LatentsSettings:
    """What decides a sample's bytes, besides image, caption and models. `size`: height, width.

    mode "online" stores the text only: training draws a new crop each time and encodes it then.
    """

    backbone: str
    mode: str  # precomputed | online
    size: shape.Shape
    crops_per_image: int
    batch: int
    flip: str  # both | none
    t5_tokens: int
    encoder: str
    dtype: str
    seed: int

    def __post_init__(self):
        if any(side < 32 or side % 32 for side in self.size):
            raise UserError(f"--size {shape.text(self.size)}: must be of multiples of 32 px")
        if not 1 <= self.t5_tokens <= T5_TOKENS:
            raise UserError(f"--t5-tokens {self.t5_tokens}: must be from 1 to {T5_TOKENS}")

    @property
    def stored(self) -> int:
        """Files a sample."""
        return 1 if self.mode == "online" else self.crops_per_image

    def digest(self, sample: CaptionedImage, *others: str) -> str:
        """16 hex digits for these settings, one sample's caption and the `others`."""
        record = json.dumps([asdict(self), sample.text, *others])
        return hashlib.sha256(record.encode()).hexdigest()[:16]


def crop_position(
    seed: int, id: str, crop: int, *, height: int, width: int, size: shape.Size
) -> tuple[int, int]:
    """(top, left) of a uniform random crop, a function of (seed, id, crop) and nothing else."""
    rows, columns = shape.sides(size)
    key = hashlib.sha256(f"{seed}/{id}/{crop}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(key))
    top, left = generator.integers((height - rows + 1, width - columns + 1))
    return int(top), int(left)


def load_crops(sample: CaptionedImage, crops: int, *, seed: int, size: shape.Size) -> Tensor:
    """The first `crops` crops of a sample's image, (crops, 3, H, W) uint8; decoded once."""
    image = images.load_rgb(sample.sound(), exif_transpose=True)
    image = images.resize_shorter_side(image, size)
    cut = []
    for crop in range(crops):
        top, left = crop_position(
            seed, sample.id, crop, height=image.height, width=image.width, size=size
        )
        cut.append(np.asarray(images.crop(image, top, left, size)).transpose(2, 0, 1))
    return torch.from_numpy(np.stack(cut))


@torch.no_grad()
def posterior(vae, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of the VAE's posterior, (B, 16, h, w) each.

    pixels: (B, 3, H, W), uint8, on any device; they become [-1, 1] in float32 first.
    """
    unit = pixels.to(vae.device).float() / 127.5 - 1
    distribution = vae.encode(unit.to(vae.dtype)).latent_dist
    return distribution.mean, distribution.logvar


def encode_crops(vae, pixels: Tensor, *, flip: str, batch: int) -> list[dict[str, Tensor]]:
    """For each crop (uint8, (n, 3, H, W)) its posterior and, for flip "both", its mirror image's.

    They pass through the VAE in batches of `batch` pictures of this one sample, so that no sample
    depends on its neighbours. Crops in pinned memory are copied to the VAE's device
    while it works on what came before; they are mirrored there.
    """
    pixels = pixels.to(vae.device, non_blocking=True)
    variants = {"": pixels} | ({"_flip": pixels.flip(-1)} if flip == "both" else {})
    stack = torch.stack(list(variants.values()), dim=1).flatten(0, 1)
    parts = [posterior(vae, part) for part in stack.split(batch)]
    mean, logvar = (torch.cat(values) for values in zip(*parts, strict=True))
    posteriors: list[dict[str, Tensor]] = [{} for _ in pixels]
    for place, tensors in enumerate(zip(mean, logvar, strict=True)):
        crop, variant = divmod(place, len(variants))
        suffix = list(variants)[variant]
        posteriors[crop] |= {f"mean{suffix}": tensors[0], f"logvar{suffix}": tensors[1]}
    return posteriors


def encode(
    load: Callable[[], Any],
    backbone,
    samples: Iterable[tuple[CaptionedImage, str]],
    folder: Path,
    *,
    settings: LatentsSettings,
    workers: int = 2,
) -> Iterator[tuple[Path, bool]]:
    """Encode (sample, digest) pairs into `folder`; yields each file and whether it was made now.

    Samples that lie there whole with the same digest are left alone and come first. `load` gives an
    F16 pipeline (it needs no transformer) and is called only if there is work. While the VAE works,
    `workers` threads decode the images to come and one writes the samples that are done. Each
    caption is encoded alone. With mode "online" a sample is its text only.
    """
    waiting = []
    for sample, digest in samples:
        paths = [sample_path(folder, sample.id, crop) for crop in range(settings.stored)]
        if all(valid(path, digest) for path in paths):
            yield from ((path, False) for path in paths)
        else:
            waiting.append((sample, digest, paths))
    if not waiting:
        return
    pipeline = load()
    vae = pipeline.vae
    facts = {
        "backbone": settings.backbone,
        "vae_scaling_factor": repr(float(vae.config.scaling_factor)),
        "vae_shift_factor": repr(float(vae.config.shift_factor or 0.0)),
        "size": shape.text(settings.size),
        "encoder": settings.encoder,
        "dtype": settings.dtype,
    }

    def pixels(job) -> Tensor | None:
        if settings.mode == "online":
            return None
        crops = load_crops(job[0], settings.crops_per_image, seed=settings.seed, size=settings.size)
        return crops.pin_memory() if vae.device.type == "cuda" else crops

    with ThreadPoolExecutor(workers) as decoders, ThreadPoolExecutor(1) as writer:
        written: deque[tuple[list[Path], Future]] = deque()
        for (sample, digest, paths), crops in ahead(decoders, pixels, waiting, workers):
            text = backbone.encode_text(pipeline, [sample.text], settings.t5_tokens, vae.device)[0]
            posteriors = [{}]
            if crops is not None:
                posteriors = encode_crops(vae, crops, flip=settings.flip, batch=settings.batch)
            header = facts | {"id": sample.id, "settings": digest}
            written.append((paths, writer.submit(_write, paths, posteriors, text, header)))
            while len(written) > 2:
                yield from _done(*written.popleft())
        for paths, future in written:
            yield from _done(paths, future)


def ahead(
    pool: ThreadPoolExecutor, function: Callable, items: Iterable, count: int
) -> Iterator[tuple[Any, Any]]:
    """(item, function(item)) in order; `count` further calls run in the pool meanwhile."""
    running: deque[tuple[Any, Future]] = deque()
    for item in items:
        running.append((item, pool.submit(function, item)))
        if len(running) > count:
            item, future = running.popleft()
            yield item, future.result()
    for item, future in running:
        yield item, future.result()


def _write(paths: list[Path], posteriors: list[dict], text: dict, header: dict) -> None:
    for crop, (path, tensors) in enumerate(zip(paths, posteriors, strict=True)):
        write_sample(path, tensors | text, header | {"crop": str(crop)})


def _done(paths: list[Path], future: Future) -> Iterator[tuple[Path, bool]]:
    future.result()
    yield from ((path, True) for path in paths)
