"""A miniature AutoencoderKL, pretrained at F8 on the training photographs in minutes.

Like the real ones it has 16 latent channels and four blocks, is trained as an F8 VAE, and is only
later, by the workflow, used at F16.
"""

import math
import time

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor

from diffusion4k.cli import progress
from diffusion4k.images import center_crop, resize_shorter_side, to_float
from diffusion4k.sources.miniature import dataset
from diffusion4k.sources.miniature.architectures import VAE

CROP, BATCH = 64, 8
LEARNING_RATE, WARMUP = 2e-3, 20
KL_WEIGHT = 1e-6


def pretrain(
    *, steps: int, photographs: int, size: int, seed: int
) -> tuple[AutoencoderKL, dict[str, float]]:
    """A VAE trained for `steps`, with the latent statistics at F16 in its config.

    photographs: px, the side that it learns from the training images at. Half of `size` makes it
    good at F16 untrained, where it sees an image as an F8 VAE sees one half as large; the real ones
    learnt from photographs as they are. size: px, of the images whose F16 latents give the
    statistics, as the real scaling_factor and shift_factor are of the real ones'.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    vae = build(size)
    started = time.process_time()
    loss = _train(vae, _training_images(max(photographs, CROP), seed), steps, generator)
    seconds = time.process_time() - started
    shift, scale = _statistics(vae, _training_images(size, seed))
    vae.register_to_config(scaling_factor=scale, shift_factor=shift)
    return vae.eval(), {
        "vae_loss": round(loss, 6),
        "vae_psnr": round(-10 * math.log10(max(loss, 1e-9) / 4), 2),
        "vae_cpu_seconds": round(seconds, 1),
    }


def build(size: int) -> AutoencoderKL:
    """An untrained one, 0.26 M parameters, initialised for the few steps that there are.

    Its residual blocks start as the identity and its posterior almost without noise: together more
    than 1 dB after 250 steps.
    """
    vae = AutoencoderKL(**VAE | {"sample_size": size})
    out = vae.encoder.conv_out
    with torch.no_grad():
        # the upper half of the channels is the log-variance
        out.weight[16:] *= 0.1
        out.bias[16:] = -5.0
        for module in vae.modules():
            if isinstance(module, ResnetBlock2D):
                module.conv2.weight.zero_()
                module.conv2.bias.zero_()
    return vae


def _train(vae: AutoencoderKL, images: Tensor, steps: int, generator: torch.Generator) -> float:
    """Adam on random crops: mean squared error and a little KL; returns the last steps' error."""
    optimizer = torch.optim.Adam(vae.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step / steps, step))
    errors = []
    for _ in progress(range(steps), desc="VAE", unit="step"):
        pixels = _crops(images, generator)
        posterior = vae.encode(pixels).latent_dist
        error = (vae.decode(posterior.sample(generator)).sample - pixels).square().mean()
        (error + KL_WEIGHT * posterior.kl().mean() / 64).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        errors.append(error.item())
    return float(np.mean(errors[-20:]))


def _rate(progress: float, step: int) -> float:
    """A short linear warm-up, then half a cosine down to 5 %."""
    return min(1, (step + 1) / WARMUP) * (0.05 + 0.475 * (1 + math.cos(math.pi * progress)))


def _crops(images: Tensor, generator: torch.Generator) -> Tensor:
    """BATCH random squares of CROP px, each mirrored at random."""
    margin = images.shape[-1] - CROP + 1

    def draw(below: int) -> list[int]:
        return torch.randint(below, (BATCH,), generator=generator).tolist()

    picked = zip(draw(len(images)), draw(margin), draw(margin), draw(2), strict=True)
    crops = [(images[i, :, y : y + CROP, x : x + CROP], mirror) for i, y, x, mirror in picked]
    return torch.stack([crop.flip(-1) if mirror else crop for crop, mirror in crops])


@torch.no_grad()
def _statistics(vae: AutoencoderKL, images: Tensor) -> tuple[float, float]:
    """Mean and inverse standard deviation of the F16 latents: conv_in takes every second pixel."""
    convolution = vae.encoder.conv_in
    convolution.stride = (2, 2)
    latents = torch.cat([vae.encode(batch).latent_dist.mean for batch in images.split(8)])
    convolution.stride = (1, 1)
    return latents.mean().item(), 1 / latents.std().item()


def _training_images(size: int, seed: int) -> Tensor:
    """The training split's central squares, (n, 3, size, size) in [-1, 1]."""
    train = dataset.splits(size, size)[0]
    squares = [
        center_crop(resize_shorter_side(crop.image, size), size)
        for crop in dataset.crops(train, seed)
    ]
    return torch.from_numpy(np.stack([to_float(square) for square in squares]))
