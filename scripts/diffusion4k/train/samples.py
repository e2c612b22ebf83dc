"""Latent samples from disk, and all that a training step draws for them, statelessly.

A sample is an image with its crop variants, each a safetensors file (see latents). A loader's key
is (step, slot): it alone decides the image, the crop, the flip, the posterior's and the noising's
noise and the timestep, so that resuming is starting the loader at a later step.
"""

from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch.utils.data import DataLoader, Dataset

from diffusion4k import images, manifest, signals
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.errors import UserError
from diffusion4k.manifest import Listed
from diffusion4k.shape import Size, parse, sides
from diffusion4k.train import randomness
from diffusion4k.vae.f16 import FACTOR

TEXT = ("prompt_embeds", "pooled")


@dataclass(frozen=True)
class Sample:
    """An image by its id, and the latent files of its crops in order."""

    id: str
    crops: tuple[Listed, ...]


@dataclass(frozen=True)
class Header:
    """What all samples of a set share: whose latents they are, their size, the VAE's scale, shift.

    Online samples hold no latents: `size` (px), `encoder` and `dtype` say how the VAE makes them.
    """

    backbone: str
    scaling: float
    shift: float
    height: int
    width: int
    online: bool = False
    size: Size = 0
    encoder: str = "stride"
    dtype: str = "float32"


@dataclass(frozen=True)
class Draws:
    """How a sample is drawn: `flip` is a probability, `u` a backbone's law of timesteps."""

    seed: int
    global_batch: int
    repeat_every: int
    flip: float
    u: Callable[[torch.Generator], float]


def listing(shards: Sequence[Path]) -> tuple[list[Sample], int]:
    """The samples that the shard manifests hold, sorted by id, and their total size in bytes."""
    crops: dict[str, dict[int, Listed]] = {}
    size = 0
    for shard in map(manifest.read, shards):
        for path in shard.paths():
            sample, _, crop = path.stem.rpartition("-")
            if path.suffix == ".safetensors" and crop.isdecimal():
                file = crops.setdefault(sample, {})[int(crop)] = shard.listed(path)
                size += file.bytes
    if not crops:
        raise UserError(f"{', '.join(map(str, shards))}: no latent samples; make the latents again")
    samples = [Sample(id, tuple(p for _, p in sorted(crops[id].items()))) for id in sorted(crops)]
    return samples, size


def header(sample: Sample) -> Header:
    """The header of a sample's first crop."""
    path = sample.crops[0].sound()
    with _opened(path) as file:
        kept = file.metadata() or {}
        online = "mean" not in file.keys()  # noqa: SIM118 (a file, not a dict)
        shape = () if online else file.get_slice("mean").get_shape()
    try:
        scaling, shift = float(kept["vae_scaling_factor"]), float(kept["vae_shift_factor"])
        if not online:
            return Header(kept["backbone"], scaling, shift, *shape[-2:])
        size = parse(kept["size"])
        latent = (side // FACTOR for side in sides(size))
        encoding = {"size": size, "encoder": kept["encoder"], "dtype": kept["dtype"]}
        return Header(kept["backbone"], scaling, shift, *latent, online=True, **encoding)
    except (KeyError, ValueError, ArgumentTypeError) as error:
        raise UserError(f"{path}: no latent sample ({error}); make the latents again") from None


class Samples(Dataset):
    """Keyed by (step, slot); see `__getitem__`. With `cache`, files are read from disk once."""

    def __init__(self, samples: Sequence[Sample], draws: Draws, *, cache: bool = False):
        self.samples, self.draws = samples, draws
        self._kept: dict[tuple[Path, bool], dict[str, torch.Tensor]] | None = {} if cache else None

    def sample(self, step: int, slot: int) -> Sample:
        """The sample at one slot of one step's global batch; nothing is read."""
        position = step * self.draws.global_batch + slot
        return self.samples[randomness.sample_index(self.draws.seed, position, len(self.samples))]

    def ids(self, step: int) -> list[str]:
        """The ids of a step's global batch."""
        return [self.sample(step, slot).id for slot in range(self.draws.global_batch)]

    def __getitem__(self, key: tuple[int, int]) -> dict[str, torch.Tensor]:
        """One slot of one step: z and noise (16, h, w) float32, u () float64, the text as stored.

        z = mean + exp(logvar / 2) eps is drawn from the raw posterior: not yet scaled or shifted.
        """
        step, slot = key
        draws, sample = self.draws, self.sample(step, slot)
        # always the same draws in the same order: a setting that ignores one moves no other
        random = randomness.slot_generator(draws.seed, step, slot, draws.repeat_every)
        crop = int(torch.randint(2**31, (), generator=random)) % len(sample.crops)
        flip = float(torch.rand((), generator=random)) < draws.flip
        u = torch.tensor(draws.u(random), dtype=torch.float64)
        latent, text = self._latent(key, sample, crop, flip, random)
        noise = torch.randn(next(iter(latent.values())).shape, generator=random)
        return latent | {"noise": noise, "u": u} | text

    def _latent(self, key, sample: Sample, crop: int, flip: bool, random: torch.Generator):
        stored = self._read(sample.crops[crop], flip)
        mean, logvar = stored["mean"].float(), stored["logvar"].float()
        z = mean + torch.exp(0.5 * logvar) * torch.randn(mean.shape, generator=random)
        return {"z": z}, {name: stored[name] for name in TEXT}

    def _read(self, file: Listed, flip: bool) -> dict[str, torch.Tensor]:
        if self._kept is None:
            return _tensors(file.sound(), flip)
        if (file.path, flip) not in self._kept:
            self._kept[file.path, flip] = _tensors(file.sound(), flip)
        return self._kept[file.path, flip]


class OnlineSamples(Samples):
    """The released data path: a new random crop of the image at every draw, encoded in the step.

    Instead of z an item has eps (16, h, w), the posterior's noise, and pixels (3, H, W) uint8, of
    `size`. `pictures` maps ids to the data set's images; texts stay in memory with `cache`.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        draws: Draws,
        *,
        pictures: Mapping[str, CaptionedImage],
        size: Size,
        cache: bool = False,
    ):
        super().__init__(samples, draws, cache=cache)
        self.pictures, self.size = pictures, size
        if missing := [s.id for s in samples if s.id not in pictures]:
            raise UserError(
                f"--dataset: no image for {', '.join(missing[:10])}, of which the latents hold "
                "texts; give the data set that they were made from"
            )

    def _latent(self, key, sample: Sample, crop: int, flip: bool, random: torch.Generator):
        step, slot = key
        draws, size = self.draws, self.size
        image = images.load_rgb(self.pictures[sample.id].sound(), exif_transpose=True)
        image = images.resize_shorter_side(image, size)
        places = randomness.slot_generator(draws.seed, step, slot, draws.repeat_every, "crop")
        unit = torch.rand(2, generator=places, dtype=torch.float64).tolist()
        height, width = sides(size)
        top = int(unit[0] * (image.height - height + 1))
        left = int(unit[1] * (image.width - width + 1))
        pixels = torch.from_numpy(np.array(images.crop(image, top, left, size))).permute(2, 0, 1)
        eps = torch.randn(16, height // FACTOR, width // FACTOR, generator=random)
        parts = {"eps": eps, "pixels": pixels.flip(-1) if flip else pixels}
        return parts, self._read(sample.crops[0], False)


def loader(
    dataset: Samples, steps: range, slots: range, micro_batch: int, *, workers: int = 0
) -> Iterator[dict[str, torch.Tensor]]:
    """The micro-batches of one process: for each of `steps`, its `slots` in order."""
    return loading(dataset, keys(steps, slots, micro_batch), workers=workers)


def keys(steps: range, slots: Sequence[int], micro_batch: int) -> list[list[tuple[int, int]]]:
    """The keys of each micro-batch: for each of `steps`, `slots` in order."""
    return [
        [(step, slot) for slot in slots[first : first + micro_batch]]
        for step in steps
        for first in range(0, len(slots), micro_batch)
    ]


def loading(
    dataset: Dataset, batches: list[list[tuple[int, int]]], *, workers: int
) -> Iterator[dict[str, torch.Tensor]]:
    """The micro-batches of these keys, in order, from loading processes that outlast signals.

    Without `workers`, of samples in memory, a thread makes them while the step before is trained.
    """
    pin = torch.cuda.is_available()
    data = DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        pin_memory=pin,
        worker_init_fn=signals.shield,
    )
    with signals.withheld():  # the workers start here
        batches = iter(data)
    return batches if workers else _ahead(batches)


def _ahead(batches: Iterator[dict[str, torch.Tensor]]) -> Iterator[dict[str, torch.Tensor]]:
    """The same, in order, each made by a thread while its predecessor is used."""
    device = torch.cuda.current_device() if torch.cuda.is_available() else None

    def after() -> dict[str, torch.Tensor] | None:
        if device is not None:  # a thread's own; pinning would open the first GPU
            torch.cuda.set_device(device)
        return next(batches, None)

    with ThreadPoolExecutor(1, "loading") as thread:
        coming = thread.submit(after)
        while (batch := coming.result()) is not None:
            coming = thread.submit(after)
            yield batch


def _tensors(path: Path, flip: bool) -> dict[str, torch.Tensor]:
    """The text of a sample, and its posterior (mirrored or not) when it has one."""
    suffix = "_flip" if flip else ""
    with _opened(path) as file:
        names = file.keys()
        if flip and "mean_flip" not in names:
            raise UserError(
                f"{path}: holds no flipped latents; make them with --flip both, or train with "
                "--flip-probability 0"
            )
        stored = {name: file.get_tensor(name) for name in TEXT}
        stored |= {n: file.get_tensor(n + suffix) for n in ("mean", "logvar") if n in names}
    return stored


def _opened(path: Path) -> safe_open:
    try:
        return safe_open(path, framework="pt")
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: {error}; make the latents again") from None
