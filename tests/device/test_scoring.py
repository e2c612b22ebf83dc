"""The metrics' networks on a GPU that is none; they are loaded from files, as the scripts do."""

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion4k.metrics import aesthetics, clip, inception, perceptual, quality
from diffusion4k.sources.miniature import metric_networks
from fake_gpu import fake_gpu, without

PIXELS = [np.zeros((64, 64, 3), np.uint8)] * 2
PICTURES = [Image.fromarray(pixels) for pixels in PIXELS]
PROMPTS = ["a cup of coffee", "an orange dahlia"]


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    (file,) = metric_networks.make_vgg16(tmp_path_factory.mktemp("vgg"))
    return file


def file_of(networks, name: str):
    (file,) = (path for path in networks[name].iterdir() if path.suffix in (".pth", ".pt"))
    return file


def score_clip(networks, device):
    return clip.Clip(networks["clip"], device).score(PICTURES, PROMPTS)


def score_aesthetics(networks, device):
    seen = clip.Clip(networks["clip_large"], device)
    return aesthetics.Aesthetics(seen, file_of(networks, "head")).score(PICTURES)


def score_inception(networks, device):
    return inception.Inception(file_of(networks, "inception"), device)(PIXELS)


def score_clean(networks, device):
    """A TorchScript runs on no fake tensor: a layer of ours stands for it."""
    from diffusion4k.files import sha256

    file = file_of(networks, "clean")
    made = inception.CleanInception(file, sha256(file), torch.device("cpu"))
    made.device = device
    made.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 2048, 299, device=device))
    return made(PIXELS)


SCORES = {
    "clip": (score_clip, clip.Clip, "embed_images", ".to(self.device)"),
    "clip, text": (score_clip, clip.Clip, "embed_tokens", ".to(self.device)"),
    "aesthetics": (score_aesthetics, aesthetics.Aesthetics, "__init__", ".to(clip.device)"),
    "inception": (score_inception, inception.Inception, "__call__", ".to(self.device)"),
    "inception, weights": (score_inception, inception.Inception, "__init__", ".to(device)"),
    "clean-fid": (score_clean, inception.CleanInception, "__call__", ".to(self.device)"),
}


@pytest.mark.parametrize("name", SCORES)
def test_a_score_comes_back_and_what_stays_behind_is_an_error(networks, monkeypatch, name):
    score, owner, method, forgotten = SCORES[name]
    with fake_gpu() as device:
        assert len(score(networks, device)) == 2
        monkeypatch.setattr(owner, method, without(getattr(owner, method), forgotten))
        with pytest.raises(RuntimeError, match="device"):
            score(networks, device)


@pytest.mark.parametrize("forgotten", ["", ".to(device)", ", device=self.device"])
def test_a_distance_of_two_pictures(vgg, monkeypatch, forgotten):
    method = "_tensor" if "self" in forgotten else "__init__"
    if forgotten:
        changed = without(getattr(perceptual.Lpips, method), forgotten)
        monkeypatch.setattr(perceptual.Lpips, method, changed)
    with fake_gpu() as device:
        if forgotten:
            with pytest.raises(RuntimeError, match="device"):
                perceptual.Lpips(vgg, device)(*PIXELS)
        else:
            assert perceptual.Lpips(vgg, device)(*PIXELS) > 0


@pytest.mark.parametrize("forgotten", ["", ".to(self.device)", "device=device, "])
def test_quality_without_a_reference(pyiqa, tmp_path, monkeypatch, forgotten):
    """Where it lies is ours to say; pyiqa, in an environment of its own, is a stand-in."""
    torch.save(torch.nn.Linear(3, 1).state_dict(), tmp_path / "net.pth")
    weights = dict.fromkeys(quality.METRICS, tmp_path / "net.pth")
    if "self" in forgotten:
        changed = without(quality.Quality.__call__, forgotten)
        monkeypatch.setattr(quality.Quality, "__call__", changed)
    elif forgotten:
        changed = without(quality.load, forgotten, 'device="cpu", ')
        monkeypatch.setattr(quality, "load", changed)
    with fake_gpu() as device:
        made = quality.Quality(weights, device)
        if forgotten:
            with pytest.raises(RuntimeError, match="device"):
                made(PICTURES[0])
        else:
            assert made(PICTURES[0]).keys() == set(quality.METRICS)
