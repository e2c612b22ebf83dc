"""The objectives and their transforms: against PyWavelets, the released formula, and Parseval."""

import pytest
import pywt
import torch

from diffusion4k.errors import UserError
from diffusion4k.train import wavelet
from diffusion4k.train.objectives import OBJECTIVES, Bands

ORTHOGONAL = ["haar", "db2", "sym4", "coif1"]


def draw(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def batch(dtype=torch.float64, size=(10, 14)):
    """v (with gradient), x0, noise and sigma of a batch of three."""
    v, x0, noise = (draw(3, 16, *size, dtype=dtype, seed=seed) for seed in range(3))
    return v.requires_grad_(), x0, noise, torch.tensor([0.02, 0.4, 1.0], dtype=dtype)


def loss_and_gradient(name, inputs, bands=None):
    loss, shares = OBJECTIVES[name](*inputs, bands or Bands())
    return loss, torch.autograd.grad(loss, inputs[0])[0], shares


@pytest.mark.parametrize("name", ["haar", "db2", "sym4", "bior2.2"])
@pytest.mark.parametrize("size", [(8, 12), (7, 9)])
def test_bands_equal_pywavelets(name, size):
    x = draw(2, 3, *size)
    approximation, details = pywt.dwt2(x.numpy(), name, mode="zero")
    for ours, theirs in zip(wavelet.bands(x, name), (approximation, *details), strict=True):
        torch.testing.assert_close(ours, torch.from_numpy(theirs))


def test_levels_equal_pywavelets():
    x = draw(2, 3, 24, 32)
    coarse, *levels = pywt.wavedec2(x.numpy(), "db2", mode="zero", level=3)
    theirs = [coarse, *(band for level in levels for band in level)]
    ours = wavelet.decompose(x, "db2", 3)
    assert list(ours) == ["LL3", "LH3", "HL3", "HH3", "LH2", "HL2", "HH2", "LH1", "HL1", "HH1"]
    for band, expected in zip(ours.values(), theirs, strict=True):
        torch.testing.assert_close(band, torch.from_numpy(expected))


def test_haar_slices_equal_its_taps():
    x = draw(1, 2, 6, 6)
    low, high = wavelet.taps("haar")
    vertical = wavelet._filter(wavelet._filter(x, high, -1), low, -2)
    torch.testing.assert_close(wavelet.haar_bands(x)[2], vertical)


def test_wavelet_x0_is_the_released_formula():
    v, x0, noise, sigma = batch()
    level = sigma.view(-1, 1, 1, 1)
    noisy = (1 - level) * x0 + level * noise
    predicted = torch.cat(wavelet.haar_bands(noisy - level * v), dim=1)
    expected = torch.nn.functional.mse_loss(predicted, torch.cat(wavelet.haar_bands(x0), dim=1))
    loss, gradient, _ = loss_and_gradient("wavelet_x0", (v, x0, noise, sigma))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, v)[0])


@pytest.mark.parametrize("name", ORTHOGONAL)
@pytest.mark.parametrize("levels", [1, 2])
def test_parseval_equal_weights_make_the_transform_vanish(name, levels):
    inputs = v, x0, noise, sigma = batch()
    bands = Bands(name, levels)
    plain, plain_gradient, _ = loss_and_gradient("velocity", inputs, bands)
    loss, gradient, _ = loss_and_gradient("wavelet_velocity", inputs, bands)
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(gradient, plain_gradient)

    each = (v - (noise - x0)).square().mean(dim=(1, 2, 3))
    weighted = (sigma**2 * each).mean()
    loss, gradient, shares = loss_and_gradient("wavelet_x0", inputs, bands)
    torch.testing.assert_close(loss, weighted)
    torch.testing.assert_close(gradient, torch.autograd.grad(weighted, v)[0])
    torch.testing.assert_close(sum(shares.values()), loss.detach())


def test_band_weights_make_it_matter():
    inputs = batch()
    details = Bands(weights=(0.0, 1.0, 1.0, 1.0))
    loss, gradient, shares = loss_and_gradient("wavelet_velocity", inputs, details)
    torch.testing.assert_close(loss.detach(), sum(shares.values()) - shares["LL1"])
    low = wavelet.haar_bands(gradient)[0]
    torch.testing.assert_close(low, torch.zeros_like(low))

    for weights in [(4.0, 1.0, 2.0, 3.0), (4.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0)]:
        loss, _, shares = loss_and_gradient("wavelet_x0", inputs, Bands("haar", 2, weights))
        factor = dict(zip(("LL", "LH", "HL", "HH"), (4.0, 1.0, 2.0, 3.0), strict=True))
        expected = sum(factor[name[:2]] * share for name, share in shares.items())
        torch.testing.assert_close(loss.detach(), expected)


def test_low_precision_keeps_the_gradient_at_small_sigma():
    _, x0, noise, _ = batch(torch.float32)
    sigma = torch.full((3,), 0.003)
    v = (noise - x0 + 0.05 * draw(*x0.shape, dtype=torch.float32, seed=5)).bfloat16()
    exact = 2 * sigma[0] ** 2 * (v.float() - (noise - x0)) / v.numel()
    _, gradient, _ = loss_and_gradient("wavelet_x0", (v.requires_grad_(), x0, noise, sigma))
    cosine = torch.nn.functional.cosine_similarity(gradient.float().ravel(), exact.ravel(), dim=0)
    assert cosine > 0.9999
    assert OBJECTIVES["velocity"](v, x0, noise, sigma, Bands())[0].dtype == torch.float32


@pytest.mark.parametrize("name", OBJECTIVES)
def test_autocast_leaves_the_arithmetic_alone(name):
    inputs = batch(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = OBJECTIVES[name](*inputs, Bands("db2"))[0]
    assert inside == OBJECTIVES[name](*inputs, Bands("db2"))[0]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Bands(weights=(1.0,) * 5), "band_weights"),
        (lambda: Bands(weights=(0.0,) * 4), "band_weights"),
        (lambda: wavelet.decompose(draw(1, 1, 4, 4), "haar", 3), "levels"),
        (lambda: wavelet.bands(draw(1, 1, 4, 4), "mexh"), "wavelet"),
    ],
)
def test_errors_say_which_key(make, says):
    with pytest.raises(UserError, match=says):
        make()
