"""The scale-consistent VAE's training: its weights, and a step's operations as in flops.py."""

from collections.abc import Sequence
from typing import Any

from diffusion4k.backbones.architecture import Config
from diffusion4k.estimate import flops

# VGG-16's convolutions, a list a resolution: outputs; LPIPS sees the last of each
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg16(side: int, narrower: int = 1) -> int:
    """One picture of side x side px through LPIPS's network, each width divided by `narrower`."""
    total, before = 0, 3
    for halvings, widths in enumerate(VGG16):
        area = (side // 2**halvings) ** 2
        for width in widths:
            total += 2 * 9 * before * (width // narrower) * area
            before = width // narrower
    return total


def discriminator(side: int, hidden: int = 512, depth: int = 6) -> int:
    """One picture of side x side px through the discriminator (vae/discriminator.py)."""
    total, before = 0, 3
    for layer, width in enumerate(_widths(hidden, depth)):
        area = (-(-side // 2 ** (layer + 1))) ** 2
        total += 2 * 9 * before * width * area
        before = width
    return total + 2 * before * area


def step(
    network: Config,
    training: dict[str, Any],
    *,
    form: str,
    adversarial: bool,
    trained: bool = False,
    narrower: int = 1,
) -> float:
    """A step of the decoder and one of the discriminator: all their pictures.

    `network` is the VAE's config, `training` the section `vae_training`, `form` the decoder's.
    `trained`: the encoder too. `narrower`: as of vgg16. The last layer's own gradients, for the
    adaptive weight, are left out.
    """
    side, recompute = training["size"], training["gradient_checkpointing"]
    shape = {"height": side, "width": side}
    encoder, decoder = flops.encode(network, **shape), flops.decode(network, **shape, form=form)
    picture = flops.training(decoder, recompute=recompute)
    picture += flops.training(encoder, recompute=recompute) if trained else encoder
    picture += sum(f(network, **shape, factor=8) for f in (flops.encode, flops.decode))
    # of both pictures, and back to the pixels of one
    picture += 3 * vgg16(side, narrower)
    if not adversarial:
        return training["decoder_batch"] * picture
    opponent = discriminator(
        side, training["discriminator_hidden"], training["discriminator_depth"]
    )
    picture += 2 * opponent
    if _in_parts(training):
        picture += encoder + decoder
    # forward 2, back to the weights 4, and for the penalty to the pixels and back through that 4
    further = 10 * opponent
    images = training["discriminator_batch"] or training["decoder_batch"]
    return training["decoder_batch"] * picture + images * further


def state(network: Config, training: dict[str, Any], *, trained: bool, average: bool) -> int:
    """Bytes of a save, float32: the VAE, what is trained of it twice more as AdamW's moments and,
    with an `average`, once more; the discriminator and its moments; the VAE that comes out."""
    encoder, decoder = parameters(network)
    changing = decoder + (encoder if trained else 0)
    opponent = discriminator_parameters(
        training["discriminator_hidden"], training["discriminator_depth"]
    )
    copies = 2 + (1 if average else 0)
    return 4 * (2 * (encoder + decoder) + copies * changing + 3 * opponent)


def parameters(network: Config) -> tuple[int, int]:
    """Weights of the VAE's encoder and decoder."""
    channels, layers = network["block_out_channels"], network["layers_per_block"]
    latent, ends = network["latent_channels"], (channels[0], channels[-1])
    middle = 2 * _resnet(ends[1], ends[1])
    if network.get("mid_block_add_attention", True):
        middle += 2 * ends[1] + 4 * _convolution(ends[1], ends[1], taps=1)
    encoder = _convolution(3, ends[0]) + _blocks(channels, layers) + middle
    encoder += 2 * ends[1] + _convolution(ends[1], 2 * latent)
    decoder = _convolution(latent, ends[1]) + middle + _blocks(channels[::-1], layers + 1)
    return encoder, decoder + 2 * ends[0] + _convolution(ends[0], 3)


def discriminator_parameters(hidden: int = 512, depth: int = 6) -> int:
    """Weights of the discriminator; spectral norm's vectors are no weights."""
    widths = _widths(hidden, depth)
    pairs = zip([3, *widths], widths, strict=False)
    return sum(_convolution(*pair) for pair in pairs) + _convolution(widths[-1], 1, taps=1)


def _in_parts(training: dict[str, Any]) -> bool:
    """Whether a process has an adaptive group in several micro-batches, each of which is decoded
    forward once more for the group's weight."""
    return share_of_group(training) > training["micro_batch"]


def share_of_group(training: dict[str, Any]) -> int:
    """Images of an adaptive group that each process has, as the trainer deals them out."""
    batch = training["decoder_batch"]
    return min(training["adaptive_group"] or batch, batch) // max(1, training["gpus"])


def _widths(hidden: int, depth: int) -> list[int]:
    return [hidden // 2 ** max(max(depth - 3, 3) - layer, 0) for layer in range(depth)]


def _blocks(channels: Sequence[int], layers: int) -> int:
    """Residual blocks of each resolution, and the convolutions between resolutions."""
    total, before = 0, channels[0]
    for out in channels:
        total += _resnet(before, out) + (layers - 1) * _resnet(out, out)
        before = out
    return total + sum(_convolution(out, out) for out in channels[:-1])


def _resnet(inputs: int, outputs: int) -> int:
    """Two norms and two convolutions, and a third where the width changes."""
    shortcut = _convolution(inputs, outputs, taps=1) if inputs != outputs else 0
    convolutions = _convolution(inputs, outputs) + _convolution(outputs, outputs)
    return 2 * (inputs + outputs) + convolutions + shortcut


def _convolution(inputs: int, outputs: int, taps: int = 9) -> int:
    return (taps * inputs + 1) * outputs
