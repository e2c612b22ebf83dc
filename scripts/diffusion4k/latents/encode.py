"""Encode a captioned image: crops => VAE posteriors, caption => text embeddings.

Reproduces the data pipeline of the released training scripts: exif transpose, RGB, shorter side to
`size` (bilinear, enlarges too), a random square crop, [-1, 1]; a flip is a second posterior here.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffusion4k import images
from diffusion4k.errors import UserError
from diffusion4k.latents.store import sample_path, valid, write_sample
from diffusion4k.metadata import Sample


@dataclass(frozen=True)
class Settings:
    """What decides a sample's bytes, besides image, caption and models. `size` in px."""

    backbone: str
    size: int
    flip: str  # both | none
    t5_tokens: int
    encoder: str
    dtype: str
    seed: int

    def __post_init__(self):
        if self.size < 32 or self.size % 32:
            raise UserError(f"--size {self.size}: must be a multiple of 32 px")
        if not 1 <= self.t5_tokens <= 512:
            raise UserError(f"--t5-tokens {self.t5_tokens}: must be from 1 to 512")

    def digest(self, sample: Sample, *others: str) -> str:
        """16 hex digits for these settings, one sample's caption and the `others`."""
        record = json.dumps([asdict(self), sample.text, *others])
        return hashlib.sha256(record.encode()).hexdigest()[:16]


def crop_position(
    seed: int, id: str, crop: int, *, height: int, width: int, size: int
) -> tuple[int, int]:
    """(top, left) of a uniform random crop, a function of (seed, id, crop) and nothing else."""
    key = hashlib.sha256(f"{seed}/{id}/{crop}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(key))
    top, left = generator.integers((height - size + 1, width - size + 1))
    return int(top), int(left)


def load_crop(sample: Sample, crop: int, *, seed: int, size: int) -> Tensor:
    """One crop of a sample's image, (1, 3, size, size), float32 in [-1, 1]."""
    image = images.load_rgb(sample.path, exif_transpose=True)
    image = images.resize_shorter_side(image, size)
    top, left = crop_position(
        seed, sample.id, crop, height=image.height, width=image.width, size=size
    )
    return torch.from_numpy(images.to_float(images.crop(image, top, left, size))).unsqueeze(0)


@torch.no_grad()
def posterior(vae, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of the VAE's posterior, (16, h, w) each, for pixels (1, 3, H, W)."""
    distribution = vae.encode(pixels.to(vae.device, vae.dtype)).latent_dist
    return distribution.mean[0], distribution.logvar[0]


def encode_crop(vae, pixels: Tensor, *, flip: str) -> dict[str, Tensor]:
    """The posterior of one crop (1, 3, H, W) and, for flip "both", of its mirror image."""
    tensors = dict(zip(("mean", "logvar"), posterior(vae, pixels), strict=True))
    if flip == "both":
        mirrored = posterior(vae, pixels.flip(-1))
        tensors |= dict(zip(("mean_flip", "logvar_flip"), mirrored, strict=True))
    return tensors


def encode(
    load: Callable[[], Any],
    backbone,
    samples: Iterable[tuple[Sample, str]],
    folder: Path,
    *,
    settings: Settings,
    crops_per_image: int,
) -> Iterator[tuple[Path, bool]]:
    """Encode (sample, digest) pairs into `folder`; yields each file and whether it was made now.

    Samples that lie there whole with the same digest are left alone. `load` gives an F16 pipeline
    (it needs no transformer) and is called only if there is work. Each caption is encoded once, and
    alone, so that a sample does not depend on its neighbours.
    """
    pipeline = None
    for sample, digest in samples:
        text = None
        for crop in range(crops_per_image):
            path = sample_path(folder, sample.id, crop)
            if valid(path, digest):
                yield path, False
                continue
            pipeline = pipeline or load()
            vae = pipeline.vae
            if text is None:
                text = backbone.encode_text(
                    pipeline, [sample.text], settings.t5_tokens, vae.device
                )[0]
            pixels = load_crop(sample, crop, seed=settings.seed, size=settings.size)
            header = {
                "id": sample.id,
                "crop": str(crop),
                "backbone": settings.backbone,
                "vae_scaling_factor": repr(float(vae.config.scaling_factor)),
                "vae_shift_factor": repr(float(vae.config.shift_factor or 0.0)),
                "settings": digest,
            }
            write_sample(path, encode_crop(vae, pixels, flip=settings.flip) | text, header)
            yield path, True
