"""One miniature step of the scale-consistent VAE, the same for our code and for the released code.

As parity.py, whose draws and weights it takes: `released_sc.py` puts them through a checkout of the
released code and writes golden/released-sc.safetensors, `test_parity_sc.py` holds ours against it.
"""

from pathlib import Path

import lpips
import torch

import parity
import tiny

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "released-sc.safetensors"
SIZE, BATCH = 128, 2
HIDDEN, DEPTH = 32, 4  # of the miniature's discriminator
RECIPE = {"scale_consistency": 1.0, "lpips": 0.1, "adversarial": 0.05, "ema": 0.9999}


def pixels(name: str) -> torch.Tensor:
    """(2, 3, 128, 128) uint8: smooth, as photographs are."""
    coarse = parity.draw(f"sc {name}", BATCH, 3, SIZE // 8, SIZE // 8).tanh()
    smooth = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")
    return (127.5 * (smooth + 1)).round().to(torch.uint8)


def batch(name: str) -> dict[str, torch.Tensor]:
    """As our loader gives it: the pixels, the noise of both posteriors."""
    return {
        "pixels": pixels(name),
        "eps": parity.draw("sc eps", BATCH, 16, SIZE // 16, SIZE // 16),
        "teacher_eps": parity.draw("sc teacher", BATCH, 16, SIZE // 8, SIZE // 8),
    }


def vae() -> torch.nn.Module:
    return parity.fill(tiny.vae(*parity.VAE["flux"]))


@torch.no_grad()
def fill_discriminator(discriminator: torch.nn.Module) -> torch.nn.Module:
    """Weights by their names, the vectors of the power iteration too."""
    parity.fill(discriminator)
    for name, vector in discriminator.named_buffers():
        vector.copy_(torch.nn.functional.normalize(parity.draw(name, *vector.shape), dim=0))
    return discriminator.train()


def vgg16() -> dict[str, torch.Tensor]:
    """The weights of LPIPS's network by the package's names, slice1.0.weight."""
    network = lpips.LPIPS(net="vgg", pretrained=False, pnet_rand=True, verbose=False).net
    return parity.fill(network).state_dict()
