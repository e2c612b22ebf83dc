"""Reconstruction scores against skimage and lpips."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from diffusion4k.errors import UserError
from diffusion4k.metrics import perceptual, reconstruction
from diffusion4k.sources.miniature import metric_networks
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


def test_a_narrower_network_is_one_whose_other_channels_are_empty(tmp_path):
    torch.manual_seed(0)
    (narrow,) = metric_networks.make_vgg16(tmp_path / "narrow", narrower=16)
    (whole,) = metric_networks.make_vgg16(tmp_path / "whole")
    shapes = {name: weight.shape for name, weight in load_file(whole).items()}
    padded = {name: torch.zeros(shape) for name, shape in shapes.items()}
    for name, weight in load_file(narrow).items():
        padded[name][tuple(slice(0, side) for side in weight.shape)] = weight
    save_file(padded, tmp_path / "padded.safetensors")
    real = photograph(3, 64, 96)
    found, expected = (
        perceptual.Lpips(path, torch.device("cpu"))(real, disturbed(real, 30))
        for path in (narrow, tmp_path / "padded.safetensors")
    )
    assert found > 0 and found == pytest.approx(expected, rel=1e-4)


def test_lpips_equals_the_package(vgg):
    network, path = vgg
    ours = perceptual.Lpips(path, torch.device("cpu"))
    real = photograph(3, 64, 96)
    other = disturbed(real, 30)

    def expected(window: tuple[slice, slice]) -> float:
        a, b = (torch.from_numpy(x[window].copy()).permute(2, 0, 1)[None] for x in (real, other))
        with torch.no_grad():
            return network(a.float() / 127.5 - 1, b.float() / 127.5 - 1).item()

    assert ours(real, other) == pytest.approx(expected(np.s_[:, :]), rel=1e-4)
    assert ours(real, real) == 0
    tiles = expected(np.s_[:, :64]) * 64 + expected(np.s_[:, 64:]) * 32
    assert ours(real, other, tile=64) == pytest.approx(tiles / 96, rel=1e-4)


def test_a_narrow_rest_of_the_image_joins_its_neighbour(vgg):
    assert perceptual.tiles(4096, 512) == [slice(i, i + 512) for i in range(0, 4096, 512)]
    assert perceptual.tiles(80, 64) == [slice(0, 64), slice(64, 80)]
    assert perceptual.tiles(79, 64) == [slice(0, 79)] and perceptual.tiles(9, 64) == [slice(0, 9)]
    real = photograph(3, 65, 143)
    ours = perceptual.Lpips(vgg[1], torch.device("cpu"))
    assert 0 < ours(real, disturbed(real, 30), tile=64) < 1


def test_lpips_names_a_wrong_backbone(tmp_path):
    (tmp_path / "pointer.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(UserError, match="pointer.safetensors: not VGG-16 .*a pointer of Git LFS"):
        perceptual.Lpips(tmp_path / "pointer.safetensors", torch.device("cpu"))
    save_file({"conv.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"no tensor features\.0"):
        perceptual.Lpips(tmp_path / "other.safetensors", torch.device("cpu"))
