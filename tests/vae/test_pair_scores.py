"""Scores of a photograph and its reconstruction against skimage."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from diffusion4k.metrics import reconstruction
from tiny_dataset import disturbed, photograph


@pytest.mark.parametrize("strength", [0.5, 8, 60])
def test_scores_equal_skimage(strength):
    real = photograph(1)
    other = disturbed(real, strength)
    ours = reconstruction.compare(real, other)
    x, y = real / 255, other / 255
    assert ours["psnr"] == pytest.approx(peak_signal_noise_ratio(real, other), rel=1e-9)
    assert ours["nmse"] == pytest.approx(np.sum((x - y) ** 2) / np.sum(x**2), rel=1e-9)
    assert ours["root_nmse"] == pytest.approx(ours["nmse"] ** 0.5)
    expected = structural_similarity(
        real,
        other,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )
    assert ours["ssim"] == pytest.approx(expected, abs=1e-6)


def test_equal_and_black_images():
    real = photograph(2)
    ours = reconstruction.compare(real, real)
    assert (ours["nmse"], ours["ssim"], ours["psnr"]) == (0, pytest.approx(1), float("inf"))
    assert np.isnan(reconstruction.nmse(np.zeros_like(real), real))
