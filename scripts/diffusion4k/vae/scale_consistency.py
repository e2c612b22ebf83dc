"""The scale-consistent VAE (journal extension, arXiv 2506.01331; released code, sc-vae/).

A pretrained F8 VAE used as F16 (f16.py) sees its pictures at half the resolution that it was
trained at. Its decoder is trained further, so that the map before the last convolution, enlarged
twice, is that of the F8 VAE on the same picture: the teacher, which stays as it was. The loss terms
here are pure functions; train/autoencoder.py puts them together.
"""

from torch import Tensor, nn
from torch.nn import functional as F

LARGEST_WEIGHT = 1e4  # of the adversarial term
SMALLEST_NORM = 1e-8


def decode(vae: nn.Module, z: Tensor) -> tuple[Tensor, Tensor]:
    """The picture and, of the same pass, the map that the last convolution saw.

    z (B, 16, h, w) raw latents => (B, 3, f h, f w) unclamped, f the VAE's factor, and
    (B, C, 8 h, 8 w) after normalisation and SiLU: of an F16 VAE before its enlargement.
    """
    kept: list[Tensor] = []
    hook = vae.decoder.conv_out.register_forward_pre_hook(
        lambda module, inputs: kept.append(inputs[0])
    )
    try:
        picture = vae.decode(z, return_dict=False)[0]
    finally:
        hook.remove()
    return picture, kept[0]


def latents(vae: nn.Module, pixels: Tensor, noise: Tensor) -> Tensor:
    """A draw from the posterior of pictures (B, 3, H, W) in [-1, 1]; noise (B, 16, H/f, W/f)."""
    posterior = vae.encode(pixels, return_dict=False)[0]
    return posterior.mean + posterior.std * noise


def consistency(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error of the student's map, enlarged twice (nearest), against the teacher's.

    student (B, C, h, w) with gradient, teacher (B, C, 2h, 2w) without => scalar, fp32. As released,
    but for rounding: over four equal copies, the error is that of the teacher's mean over the four
    places plus the teacher's spread about it, and only the first has a gradient. So nothing of the
    large map is kept for the backward pass (batch 32 at 512 px: 4.3 GB).
    """
    teacher = teacher.detach().float()
    mean = F.avg_pool2d(teacher, 2)
    spread = (teacher - F.interpolate(mean, scale_factor=2.0, mode="nearest")).square().mean()
    return F.mse_loss(student.float(), mean) + spread


def adaptive_weight(perceptual: Tensor, adversarial: Tensor) -> Tensor:
    """How much the adversarial term weighs, so that both terms pull the last layer alike.

    The norm of the perceptual term's gradient over that of the adversarial one's, both of the
    weight of the decoder's last convolution, at most 1e4 (VQGAN, section 3.1).
    """
    weight = perceptual.norm() / adversarial.norm().clamp(min=SMALLEST_NORM)
    return weight.clamp(max=LARGEST_WEIGHT)


def trained(vae: nn.Module, *, encoder: bool) -> list[nn.Parameter]:
    """The parameters that are trained: the decoder's, with `encoder` the encoder's too.

    The others are frozen. With the encoder frozen the latents stay those of the pretrained VAE.
    """
    vae.requires_grad_(False)
    parts = [vae.decoder, vae.post_quant_conv]
    parts += [vae.encoder, vae.quant_conv] if encoder else []
    for part in filter(None, parts):
        part.requires_grad_(True)
    return [parameter for parameter in vae.parameters() if parameter.requires_grad]
