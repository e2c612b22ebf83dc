"""Discrete wavelet transforms of image batches, by slices: no convolution, so that the arithmetic
keeps its precision on every device (cuDNN would use TF32) and stays differentiable and compilable.

All functions follow `pywt.dwt2(mode="zero")`. In that mode an orthogonal wavelet keeps the energy
exactly, borders included: the squares of all coefficients sum to the squares of the input.
"""

import torch
import torch.nn.functional as F

from diffusion4k.train.bands import check_levels, taps

Tensor = torch.Tensor


def haar_bands(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One level of the orthonormal Haar transform: LL, LH, HL, HH.

    Shape: (B, C, H, W) -> four times (B, C, ceil(H/2), ceil(W/2)). The first letter filters along
    the width, the second along the height: LH is pywt's cH, HL its cV, HH its cD.
    """
    x = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))
    a, b = x[..., 0::2, 0::2], x[..., 0::2, 1::2]
    c, d = x[..., 1::2, 0::2], x[..., 1::2, 1::2]
    return (a + b + c + d) / 2, (a + b - c - d) / 2, (a - b + c - d) / 2, (a - b - c + d) / 2


def bands(x: Tensor, wavelet: str = "haar") -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """LL, LH, HL, HH of one level of any discrete wavelet that PyWavelets knows by name.

    Shape: (B, C, H, W) -> four times (B, C, (H + L - 1) // 2, (W + L - 1) // 2), L taps. An unknown
    name is a UserError.
    """
    if wavelet == "haar":
        return haar_bands(x)
    low, high = taps(wavelet)
    across_low, across_high = _filter(x, low, -1), _filter(x, high, -1)
    return (
        _filter(across_low, low, -2),
        _filter(across_low, high, -2),
        _filter(across_high, low, -2),
        _filter(across_high, high, -2),
    )


def decompose(x: Tensor, wavelet: str = "haar", levels: int = 1) -> dict[str, Tensor]:
    """The sub-bands of a multi-level transform, coarse to fine: LL2, LH2, HL2, HH2, LH1, HL1, HH1.

    Shape: x is (B, C, H, W). An image smaller than 2**levels is a UserError.
    """
    check_levels(levels, *x.shape[-2:])
    details: dict[str, Tensor] = {}
    for level in range(1, levels + 1):
        x, *rest = bands(x, wavelet)
        named = zip(("LH", "HL", "HH"), rest, strict=True)
        details = {f"{band}{level}": values for band, values in named} | details
    return {f"LL{levels}": x} | details


def _filter(x: Tensor, filter_taps: tuple[float, ...], dim: int) -> Tensor:
    """y[n] = sum over k of taps[k] x[2n + 1 - k] along `dim` (-1 or -2), x zero outside."""
    size, length = x.shape[dim], len(filter_taps)
    out = (size + length - 1) // 2
    before, after = length - 2, 2 * out - size
    x = F.pad(x, (before, after) if dim == -1 else (0, 0, before, after))
    total: Tensor | int = 0
    for k, tap in enumerate(filter_taps):
        phase = slice(length - 1 - k, length - 2 - k + 2 * out, 2)
        total = total + tap * (x[..., phase] if dim == -1 else x[..., phase, :])
    return total
