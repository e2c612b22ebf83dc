"""The sub-bands of a wavelet objective and their weights: what can be checked without torch."""

import functools
from dataclasses import dataclass

from diffusion4k.errors import UserError


@dataclass(frozen=True)
class Bands:
    """Which transform, and the weight of each sub-band.

    `weights` are four (LL, LH, HL, HH; each for all levels) or 1 + 3 * levels, coarse to fine as
    `wavelet.decompose` orders them. UserError, `setting: what is wrong`, for an unknown wavelet,
    for another number of weights, for negative ones and for nothing but zeros.
    """

    wavelet: str = "haar"
    levels: int = 1
    weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)

    def __post_init__(self):
        if self.wavelet != "haar":  # which needs no PyWavelets
            taps(self.wavelet)
        lengths = sorted({4, 1 + 3 * self.levels})
        if len(self.weights) not in lengths:
            raise UserError(
                f"band_weights: {len(self.weights)} weights for {self.levels} levels; give"
                f" {' or '.join(map(str, lengths))} (LL, then LH, HL, HH, for all levels or for"
                " each, coarse to fine)"
            )
        if min(self.weights) < 0 or not any(self.weights):
            raise UserError("band_weights: weights must not be negative, nor all zero")

    def of(self, names: list[str]) -> list[float]:
        """The weight of each of `names`, sub-bands as `wavelet.decompose` names and orders them."""
        if len(self.weights) == len(names):
            return list(self.weights)
        kinds = dict(zip(("LL", "LH", "HL", "HH"), self.weights, strict=True))
        return [kinds[name[:2]] for name in names]


def check_levels(levels: int, height: int, width: int) -> None:
    """UserError unless that many levels of a transform fit a latent of height x width."""
    if levels < 1 or min(height, width) < 2**levels:
        raise UserError(
            f"levels: {levels} levels do not fit a latent of {height} x {width}; lower the"
            " recipe's levels"
        )


@functools.cache
def taps(wavelet: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The low-pass and high-pass analysis filters of a wavelet, as PyWavelets gives them."""
    import pywt

    try:
        filters = pywt.Wavelet(wavelet)
    except ValueError:
        raise UserError(
            f"wavelet: {wavelet!r} is no discrete wavelet; try haar, db2 or sym4, or see "
            "python -c \"import pywt; print(pywt.wavelist(kind='discrete'))\""
        ) from None
    return tuple(filters.dec_lo), tuple(filters.dec_hi)
