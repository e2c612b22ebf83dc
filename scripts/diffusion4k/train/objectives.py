"""Training objectives, as pure functions of the prediction and what it should have been.

Rectified flow: x_t = (1 - sigma) x0 + sigma noise, and the model predicts v ~ noise - x0. With
e = v - (noise - x0), the error of the implied clean latent x_t - sigma v is -sigma e, exactly.
Transforms are linear, so every objective here is a weighted square of e; that form also stays
accurate in low precision where the difference of two clean latents cancels (at sigma 0.01 the
gradient's cosine with fp32 falls to 0.5). All arithmetic is fp32 or wider.

Parseval: with equal band weights and an orthogonal wavelet, the transform changes nothing;
`wavelet_velocity` is `velocity`, and `wavelet_x0` is `velocity` weighted by sigma**2.
"""

from collections.abc import Callable

import torch

from diffusion4k.train import wavelet
from diffusion4k.train.bands import Bands

Tensor = torch.Tensor
Loss = tuple[Tensor, dict[str, Tensor]]


def velocity(v: Tensor, x0: Tensor, noise: Tensor, sigma: Tensor, transform: Bands) -> Loss:
    """Flow matching: the mean of (v - (noise - x0))**2; the sub-bands are only reported.

    Shape: v, x0, noise (B, C, H, W), sigma (B,) in (0, 1]. Returns the scalar loss, with gradient,
    and each sub-band's share of it, {name: scalar} without.
    """
    error = _error(v, x0, noise)
    with torch.no_grad():
        shares = _shares(error, transform)
    return error.square().mean(), shares


def wavelet_x0(v: Tensor, x0: Tensor, noise: Tensor, sigma: Tensor, transform: Bands) -> Loss:
    """The released objective (train_*_wavelet.py): sub-bands of x_t - sigma v against those of x0.

    The squares are summed over the sub-bands with their weights and divided by the input's size,
    as the released mean over the concatenated Haar bands. Shapes as in `velocity`.
    """
    return _weighted(sigma.to(x0.device).view(-1, 1, 1, 1) * _error(v, x0, noise), transform)


def wavelet_velocity(v: Tensor, x0: Tensor, noise: Tensor, sigma: Tensor, transform: Bands) -> Loss:
    """The paper's formula: E[ w || f(v) - f(noise - x0) ||**2 ], f the transform, w its weights.

    Divided by the input's size. Shapes as in `velocity`.
    """
    return _weighted(_error(v, x0, noise), transform)


OBJECTIVES: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor, Bands], Loss]] = {
    "velocity": velocity,
    "wavelet_x0": wavelet_x0,
    "wavelet_velocity": wavelet_velocity,
}


def _error(v: Tensor, x0: Tensor, noise: Tensor) -> Tensor:
    wide = torch.promote_types(v.dtype, torch.float32)
    return v.to(wide) - (noise.to(wide) - x0.to(wide))


def _shares(error: Tensor, transform: Bands) -> dict[str, Tensor]:
    # by the input's size and not by the coefficients': longer filters make more of them, of zeros
    parts = wavelet.decompose(error, transform.wavelet, transform.levels)
    return {name: part.square().sum() / error.numel() for name, part in parts.items()}


def _weighted(error: Tensor, transform: Bands) -> Loss:
    shares = _shares(error, transform)
    weights = transform.of(list(shares))
    loss = sum(weight * share for weight, share in zip(weights, shares.values(), strict=True))
    return loss, {name: share.detach() for name, share in shares.items()}
