"""Inception features for FID as published: TensorFlow's 2015 network and its resize to 299 px."""

from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch

from diffusion4k.errors import UserError

DIMENSION = 2048
_PIXELS = 2**24  # a batch at most, so that 4K images in float32 fit


class Inception:
    """torch-fidelity's port, which torchmetrics uses: bilinear resize without antialiasing."""

    def __init__(self, weights: Path, device: torch.device):
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        try:  # torch-fidelity unpickles the file: let it only when there is nothing but tensors
            torch.load(weights, map_location="cpu", weights_only=True)
            network = FeatureExtractorInceptionV3(
                "inception-v3-compat", [str(DIMENSION)], feature_extractor_weights_path=str(weights)
            )
        except (UnpicklingError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(
                f"{weights}: not the Inception weights of torch-fidelity ({reason})"
            ) from None
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
