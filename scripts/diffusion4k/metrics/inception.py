"""Inception features: TensorFlow's 2015 network behind two resizes, and crops for patch FID.

As published (torch-fidelity's port in torchmetrics): bilinear to 299 px without antialiasing,
inside the network; of a 4096 px image a few pixels in a hundred count. As clean-fid has it (Parmar
2022): an antialiased bicubic resize outside. Neither sees the detail of a 4K image: crops do.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from diffusion4k.damage import loading
from diffusion4k.errors import UserError
from diffusion4k.files import sha256

DIMENSION = 2048
_PIXELS = 2**24  # a batch at most, so that 4K images in float32 fit


class Inception:
    """torch-fidelity's port, which torchmetrics uses: bilinear resize without antialiasing."""

    def __init__(self, weights: Path, device: torch.device):
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        with loading(weights, "the Inception weights of torch-fidelity"):
            # torch-fidelity unpickles the file: let it only when there is nothing but tensors
            torch.load(weights, map_location="cpu", weights_only=True)
            network = FeatureExtractorInceptionV3(
                "inception-v3-compat", [str(DIMENSION)], feature_extractor_weights_path=str(weights)
            )
        self.network = network.to(device).eval()
        self.device = device

    @torch.inference_mode()
    def __call__(self, images: list[np.ndarray]) -> np.ndarray:
        """uint8 (H, W, 3) images of one size => float32 (n, 2048) features."""
        step = max(1, _PIXELS // (images[0].shape[0] * images[0].shape[1]))
        features = []
        for start in range(0, len(images), step):
            batch = torch.from_numpy(np.stack(images[start : start + step]))
            (values,) = self.network(batch.permute(0, 3, 1, 2).to(self.device))
            features.append(values.float().cpu().numpy())
        return np.concatenate(features)


class CleanInception:
    """clean-fid's: Pillow's bicubic resize of float channels to 299 px, then NVIDIA's TorchScript.

    A TorchScript file is a program, which weights_only cannot tame: it is loaded only when its
    SHA-256 is `digest`; UserError otherwise. `prepare` maps the resize over the images, such as in
    a pool of threads.
    """

    def __init__(
        self, weights: Path, digest: str, device: torch.device, *, prepare: Callable = map
    ):
        from cleanfid.resize import build_resizer

        if sha256(weights) != digest:
            raise UserError(f"{weights}: its sha256 is not {digest}; not loaded, fetch it again")
        quiet = warnings.catch_warnings(action="ignore")  # deprecated, but what the file is
        with loading(weights, "clean-fid's TorchScript"), quiet:
            self.layers = torch.jit.load(weights, map_location=device).eval().layers
        self.resize = build_resizer("clean")
        self.device, self.prepare = device, prepare

    @torch.inference_mode()
    def __call__(self, images: list[np.ndarray]) -> np.ndarray:
        """uint8 (H, W, 3) images of any size => float32 (n, 2048) features."""
        batch = torch.from_numpy(np.stack(list(self.prepare(self.resize, images))))
        values = self.layers((batch.permute(0, 3, 1, 2).to(self.device) - 128) / 128)
        return values.reshape(len(images), -1).float().cpu().numpy()


def crops(image: np.ndarray, size: int, per_side: int) -> list[np.ndarray]:
    """per_side x per_side crops of `size` px, at even distances from edge to edge, unscaled.

    One a side is the centre. uint8 (H, W, 3) => views; UserError when the image is smaller.
    """
    height, width = image.shape[:2]
    if min(height, width) < size:
        raise UserError(f"a crop of {size} px does not fit an image of {height}x{width} px")

    def starts(length: int) -> np.ndarray:
        free = length - size
        even = np.linspace(0, free, per_side) if per_side > 1 else np.array([free / 2])
        return even.round().astype(int)

    return [
        image[top : top + size, left : left + size]
        for top in starts(height)
        for left in starts(width)
    ]
