"""Table 2's reconstructions on a GPU that is none: each VAE as the script loads it, F16 and F8."""

import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

from diffusion4k.vae import f16, reconstruct
from fake_gpu import fake_gpu, networks, real, without

FORMS = [(8, "published"), (16, "published"), (16, "folded")]
PHOTOGRAPH = Image.new("RGB", (128, 96))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small VAE in a folder, as a source has it."""
    folder = tmp_path_factory.mktemp("vae")
    networks.vae("sd3", "cpu", torch.float32, quick=True, factor=8).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def files(monkeypatch):
    """What is read from files has values: only then it can be moved."""
    monkeypatch.setattr(AutoencoderKL, "from_pretrained", real(AutoencoderKL.from_pretrained))


def load(folder, device, factor: int = 16, decoder: str = "folded", loading=reconstruct.load):
    how = {"factor": factor, "encoder": "stride", "decoder": decoder, "tiling": False}
    return loading(folder, device=device, dtype=torch.float32, **how)


@pytest.mark.parametrize(("factor", "decoder"), FORMS)
@pytest.mark.parametrize("tf32", [None, True, False])
def test_a_photograph_is_rebuilt(saved, factor, decoder, tf32):
    with fake_gpu() as device:
        vae = load(saved, device, factor, decoder)
        assert {weight.device.type for weight in vae.parameters()} == {"cuda"}
        rebuilt = reconstruct.rebuild(vae, PHOTOGRAPH, "a", tf32=tf32)
    assert rebuilt.shape == (96, 128, 3)


def test_a_photograph_that_stays_behind_is_an_error(saved):
    staying = without(reconstruct.rebuild, ".to(vae.device, vae.dtype)")
    with fake_gpu() as device:
        vae = load(saved, device)
        with pytest.raises(RuntimeError, match="device"):
            staying(vae, PHOTOGRAPH, "a")


def test_a_vae_that_stays_behind_is_seen(saved):
    staying = without(reconstruct.load, "vae.to(device).eval()", "vae.eval()")
    with fake_gpu() as device:
        vae = load(saved, device, loading=staying)
        assert {weight.device.type for weight in vae.parameters()} == {"cpu"}


def test_the_vae_of_online_latents_lies_on_the_gpu(saved, tmp_path):
    (tmp_path / "vae").symlink_to(saved)
    how = {"dtype": torch.float32, "encoder": "stride"}
    with fake_gpu() as device:
        vae = f16.load_f16(tmp_path, device=device, **how)
        staying = without(f16.load_f16, ".to(device)")(tmp_path, device=device, **how)
    places = [{weight.device.type for weight in made.parameters()} for made in (vae, staying)]
    assert places == [{"cuda"}, {"cpu"}]
