"""The discriminator of the scale-consistent VAE's training."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

from diffusion4k import monitor
from diffusion4k.vae.scale_consistency import LARGEST_WEIGHT

SATURATED = 1e-3  # of a probability: the sigmoid passes a thousandth of its gradient


class Discriminator(nn.Module):
    """Strided 3x3 convolutions under spectral norm, then one probability a place.

    Released code, sc-vae/discriminator_vae.py, after Paella (dome272/Paella, vqgan.py). Each of the
    `depth` convolutions halves the sides and, until it is `hidden`, doubles the width; between them
    LeakyReLU 0.2, after all but the first InstanceNorm without weights. State-dict keys are the
    released ones.

    Shape: (B, 3, H, W) in [-1, 1] -> (B, 1, H / 2**depth, W / 2**depth) in (0, 1), 1 for a
    photograph; InstanceNorm wants more than one place, so sides of more than 2**depth px. In
    training mode each call takes one power iteration of every spectral norm, which changes buffers.
    """

    def __init__(self, hidden: int = 512, depth: int = 6):
        super().__init__()
        doublings = max(depth - 3, 3)
        widths = [hidden // 2 ** max(doublings - i, 0) for i in range(depth)]
        layers: list[nn.Module] = []
        for before, width in zip([3, *widths], widths, strict=False):
            convolution = nn.Conv2d(before, width, kernel_size=3, stride=2, padding=1)
            layers.append(spectral_norm(convolution))
            if len(layers) > 1:
                layers.append(nn.InstanceNorm2d(width))
            layers.append(nn.LeakyReLU(0.2))
        self.encoder = nn.Sequential(*layers)
        self.shuffle = nn.Conv2d(widths[-1], 1, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.shuffle(self.encoder(x)))


def vectors(discriminator: nn.Module) -> list[Tensor]:
    """The vectors of the power iterations as they are now, two a convolution."""
    return [vector.clone() for vector in discriminator.buffers()]


@torch.no_grad()
def restore(discriminator: nn.Module, values: Sequence[Tensor]) -> None:
    """Put them back: what is called next takes the same iterations, and so sees the same weights.

    Micro-batches that each begin like this are what one pass of them all would be.
    """
    for vector, value in zip(discriminator.buffers(), values, strict=True):
        vector.copy_(value)


def hinge(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss: what it said of photographs and of reconstructions => scalar.

    As released: hinges at 1 and -1 of values in (0, 1), so it lies between 1 and 3.
    """
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def gradient_penalty(images: Tensor, output: Tensor, weight: float = 10.0) -> Tensor:
    """weight * mean of (|gradient of the summed output| - 1)^2 over the pictures, with gradient.

    images (B, 3, H, W) that require gradients, output (B, …) made from them; the photographs in the
    released code, not pictures between those and the reconstructions.
    """
    (slope,) = torch.autograd.grad(output.sum(), images, create_graph=True)
    return weight * (slope.flatten(1).norm(dim=1) - 1).square().mean()


def collapse(rows: Sequence[Mapping[str, float]]) -> str | None:
    """What says, of the last hundred steps all, that the discriminator teaches nothing any more.

    It answers the same to photographs and reconstructions, at an end of the sigmoid, where that
    has no gradient; or the adaptive weight stands at its largest for want of one.
    """
    if len(rows) < monitor.WINDOW or any("discriminator_real" not in row for row in rows):
        return None
    if all(row["adaptive_weight"] >= LARGEST_WEIGHT for row in rows):
        return "the discriminator has collapsed: the adaptive weight stands at its largest"
    answers = ("discriminator_real", "discriminator_fake")
    ends = {_end(row[name]) for row in rows for name in answers}
    if len(ends) == 1 and None not in ends:
        answer = rows[-1]["discriminator_real"]
        return f"the discriminator has collapsed: it answers {answer:.4f} to every picture"
    return None


def _end(probability: float) -> int | None:
    """0 or 1 for a probability there, None for one between."""
    return round(probability) if min(probability, 1 - probability) < SATURATED else None
