"""LPIPS (Zhang 2018) with the VGG-16 backbone, in tiles so that a 4K image fits in memory.

The linear heads come from the lpips package, the backbone from a file in torchvision's layout
(`features.N.weight`, as timm/vgg16.tv_in1k has it): nothing is downloaded.
"""

import warnings
from pathlib import Path

import numpy as np
import torch

from diffusion4k.errors import UserError
from diffusion4k.weights import loading

TILE = 512  # px; 512-px tiles differ from the whole by 0.03-0.07 % and take 1.8 GB instead of 45
SMALLEST = 16  # px of a side; of fewer, VGG-16's four poolings leave nothing


class Lpips:
    """LPIPS-VGG, version 0.1, float32."""

    def __init__(self, backbone: Path, device: torch.device):
        import lpips
        from safetensors.torch import load_file

        heads = Path(lpips.__file__).with_name("weights") / "v0.1" / "vgg.pth"
        weights = torch.load(heads, map_location="cpu", weights_only=True)
        # meta spares the random initialisation of a whole VGG-16; the warnings are torchvision's
        with torch.device("meta"), warnings.catch_warnings(action="ignore"):
            network = lpips.LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False)
        network.scaling_layer = lpips.ScalingLayer()
        weights |= {f"scaling_layer.{k}": v for k, v in network.scaling_layer.state_dict().items()}
        with loading(backbone, "VGG-16 in safetensors"):
            file = load_file(backbone)
        for name in network.net.state_dict():  # slice2.5.weight is features.5.weight
            source = f"features.{name.partition('.')[2]}"
            if source not in file:
                raise UserError(f"{backbone}: no tensor {source}; VGG-16 in torchvision's layout?")
            weights[f"net.{name}"] = file[source]
        keys = network.state_dict().keys()
        # the heads are stored twice, as lin0 and as lins.0
        weights |= {k: weights[f"lin{k[5:]}"] for k in keys if k.startswith("lins.")}
        network.load_state_dict(weights, assign=True)
        self.network = network.to(device).eval().requires_grad_(False)
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
