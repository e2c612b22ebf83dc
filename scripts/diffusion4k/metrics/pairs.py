"""Everything about a photograph and its reconstruction (Table 2): scores, Inception features."""

from pathlib import Path

import numpy as np
import torch

from diffusion4k.metrics import inception, perceptual, reconstruction
from diffusion4k.metrics.scores import Reconstruction

ARRAYS = ("real", "reconstructed", "real_patches", "reconstructed_patches")


class PairScorer:
    """What networks say of a pair of uint8 (H, W, 3) images; `row` has the rest.

    `inception_weights`, `vgg16_weights`: their files; `crop` (px) and `crops` (along each side)
    are of the patches.
    """

    def __init__(
        self,
        inception_weights: Path,
        vgg16_weights: Path,
        device: torch.device,
        *,
        crop: int,
        crops: int,
    ):
        self.inception = inception.Inception(inception_weights, device)
        self.lpips = perceptual.Lpips(vgg16_weights, device)
        self.crop, self.crops = crop, crops

    def networks(self, real: np.ndarray, rebuilt: np.ndarray) -> tuple[float, dict]:
        """LPIPS, and ARRAYS: what the device computes."""
        return self.lpips(real, rebuilt), self.features(real, rebuilt)

    def features(self, *pair: np.ndarray) -> dict[str, np.ndarray]:
        """(1, 2048) of either whole image, (crops, 2048) of its crops."""
        cropped = [crop for p in pair for crop in inception.crops(p, self.crop, self.crops)]
        halves = [*np.split(self.inception(list(pair)), 2), *np.split(self.inception(cropped), 2)]
        return dict(zip(ARRAYS, halves, strict=True))


def row(id: str, real: np.ndarray, rebuilt: np.ndarray, lpips: float) -> Reconstruction:
    """A pair's row; all but LPIPS is computed here, on the CPU."""
    return Reconstruction(id=id, **reconstruction.compare(real, rebuilt), lpips=lpips)
