"""Floating-point operations of a step of the scale-consistent VAE, as flops.py counts them."""

from typing import Any

from diffusion4k.backbones.architecture import Config
from diffusion4k.estimate import flops

# VGG-16's convolutions, a list a resolution: outputs; LPIPS sees the last of each
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg16(side: int) -> int:
    """One picture of side x side px through LPIPS's network."""
    total, before = 0, 3
    for halvings, widths in enumerate(VGG16):
        area = (side // 2**halvings) ** 2
        for width in widths:
            total += 2 * 9 * before * width * area
            before = width
    return total


def discriminator(side: int, hidden: int = 512, depth: int = 6) -> int:
    """One picture of side x side px through the discriminator (vae/discriminator.py)."""
    total, before = 0, 3
    for layer in range(depth):
        width = hidden // 2 ** max(max(depth - 3, 3) - layer, 0)
        area = (-(-side // 2 ** (layer + 1))) ** 2
        total += 2 * 9 * before * width * area
        before = width
    return total + 2 * before * area


def step(network: Config, training: dict[str, Any], *, form: str, adversarial: bool) -> float:
    """A step of the decoder and one of the discriminator: all their pictures.

    `network` is the VAE's config, `training` the section `vae_training`, `form` the decoder's.
    Encoder frozen. The last layer's own gradients, for the adaptive weight, are left out.
    """
    side = training["size"]
    shape = {"height": side, "width": side}
    student = flops.decode(network, **shape, form=form)
    picture = flops.encode(network, **shape)
    picture += flops.training(student, recompute=training["gradient_checkpointing"])
    picture += sum(f(network, **shape, factor=8) for f in (flops.encode, flops.decode))
    # of both pictures, and back to the pixels of one
    picture += 3 * vgg16(side)
    if not adversarial:
        return training["decoder_batch"] * picture
    opponent = discriminator(
        side, training["discriminator_hidden"], training["discriminator_depth"]
    )
    picture += 2 * opponent
    # forward 2, back to the weights 4, and for the penalty to the pixels and back through that 4
    further = 10 * opponent
    images = training["discriminator_batch"] or training["decoder_batch"]
    return training["decoder_batch"] * picture + images * further
