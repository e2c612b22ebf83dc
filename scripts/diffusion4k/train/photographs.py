"""Photographs for the training of a VAE, and all that a step draws for them, statelessly."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from diffusion4k import images
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.train import randomness

CHANNELS = 16  # of the latents


class Photographs(Dataset):
    """Keyed by (step, slot), which alone decides image, crop, flip and noise; see `__getitem__`.

    `a_step`: slots a step; `resize` and `size`: px, of the photographs' shorter side and of the
    crops; `flip`: a probability.
    """

    def __init__(
        self,
        photographs: Sequence[CaptionedImage],
        *,
        seed: int,
        a_step: int,
        resize: int,
        size: int,
        flip: float,
    ):
        self.photographs, self.seed, self.a_step = photographs, seed, a_step
        self.resize, self.size, self.flip = resize, size, flip

    def photograph(self, step: int, slot: int) -> CaptionedImage:
        """The photograph at one slot of one step; nothing is read."""
        position = step * self.a_step + slot
        return self.photographs[randomness.sample_index(self.seed, position, len(self.photographs))]

    def ids(self, step: int) -> list[str]:
        """The ids of a step's photographs."""
        return [self.photograph(step, slot).id for slot in range(self.a_step)]

    def __getitem__(self, key: tuple[int, int]) -> dict[str, torch.Tensor]:
        """One slot of one step: pixels (3, size, size) uint8, the noise of both posteriors.

        The shorter side becomes `resize` (bilinear; enlarges too), then a random square is cut
        out. eps (16, size/16, size/16) is the student's noise, teacher_eps
        (16, size/8, size/8) the teacher's, float32.
        """
        step, slot = key
        random = randomness.slot_generator(self.seed, step, slot, kind="photograph")
        across, down, mirror = torch.rand(3, generator=random, dtype=torch.float64).tolist()
        image = images.load_rgb(self.photograph(step, slot).sound(), exif_transpose=True)
        image = images.resize_shorter_side(image, self.resize)
        top = int(down * (image.height - self.size + 1))
        left = int(across * (image.width - self.size + 1))
        pixels = np.array(images.crop(image, top, left, self.size))
        pixels = torch.from_numpy(pixels).permute(2, 0, 1)
        return {
            "pixels": pixels.flip(-1) if mirror < self.flip else pixels,
            "eps": torch.randn(CHANNELS, self.size // 16, self.size // 16, generator=random),
            "teacher_eps": torch.randn(CHANNELS, self.size // 8, self.size // 8, generator=random),
        }
