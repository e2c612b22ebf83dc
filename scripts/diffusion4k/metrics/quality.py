"""No-reference image quality through pyiqa: MUSIQ (about 0 to 100), MANIQA (about 0 to 1).

Runs in an environment of its own (envs/iqa.yaml or .venv-iqa). Weights come from the files given
and from nowhere else: pyiqa's own `pretrained_model_path` would unpickle anything that a file
holds, wants a key `params` that MANIQA's default checkpoint lacks, and MANIQA would still fetch the
backbone whose weights its checkpoint replaces.
"""

from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image

from diffusion4k.damage import loading

METRICS = ("musiq", "maniqa")  # pyiqa's names: both trained on KonIQ-10k


class Quality:
    """MUSIQ and MANIQA, float32, given the image at its own resolution.

    MUSIQ sees all of it, at three scales; MANIQA 20 crops of 224 px, 6 % of an image of 4096 px.
    """

    def __init__(self, weights: Mapping[str, Path], device: torch.device):
        self.networks = {name: load(name, weights[name], device) for name in METRICS}
        self.device = device

    @torch.inference_mode()
    def __call__(self, image: Image.Image) -> dict[str, float]:
        """RGB image => {"musiq", "maniqa"}."""
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].to(self.device) / 255
        return {name: float(network(pixels)) for name, network in self.networks.items()}


def load(name: str, path: Path, device: torch.device) -> torch.nn.Module:
    """pyiqa's network with the weights in `path`; UserError when they are not that network's."""
    import pyiqa
    import timm

    create = timm.create_model

    def offline(backbone: str, **options):
        return create(backbone, **(options | {"pretrained": False}))

    with mock.patch.object(timm, "create_model", offline):
        metric = pyiqa.create_metric(name, device=device, pretrained=False)
    with loading(path, f"pyiqa's weights of {name}"):
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("params", state)
        metric.net.load_state_dict({k.removeprefix("module."): v for k, v in state.items()})
    return metric.eval().requires_grad_(False)
