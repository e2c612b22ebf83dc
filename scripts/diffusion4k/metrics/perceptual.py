"""LPIPS (Zhang 2018) with the VGG-16 backbone, in tiles so that a 4K image fits in memory."""

from pathlib import Path

import numpy as np
import torch

from diffusion4k.perceptual import lpips_vgg

TILE = 512  # px; 512-px tiles differ from the whole by 0.03-0.07 % and take 1.8 GB instead of 45
SMALLEST = 16  # px of a side; of fewer, VGG-16's four poolings leave nothing


class Lpips:
    """LPIPS-VGG, version 0.1, float32."""

    def __init__(self, backbone: Path, device: torch.device):
        self.network = lpips_vgg(backbone).to(device)
        self.device = device

    @torch.inference_mode()
    def __call__(self, real: np.ndarray, other: np.ndarray, tile: int = TILE) -> float:
        """Distance of two uint8 (H, W, 3) images: mean over tiles, weighted by their area."""
        height, width = real.shape[:2]
        total = 0.0
        for rows in tiles(height, tile):
            for columns in tiles(width, tile):
                window = rows, columns
                distance = self.network(self._tensor(real[window]), self._tensor(other[window]))
                total += distance.item() * real[window].shape[0] * real[window].shape[1]
        return total / (height * width)

    def _tensor(self, pixels: np.ndarray) -> torch.Tensor:
        """uint8 (H, W, 3) => float32 (1, 3, H, W) in [-1, 1]."""
        tensor = torch.tensor(pixels, device=self.device).permute(2, 0, 1)[None]
        return tensor.float() / 127.5 - 1


def tiles(length: int, tile: int) -> list[slice]:
    """Slices of `tile` px that cover `length` px; a rest below SMALLEST px joins the one before."""
    starts = list(range(0, max(length - SMALLEST + 1, 1), tile))
    return [slice(*ends) for ends in zip(starts, [*starts[1:], length], strict=True)]
