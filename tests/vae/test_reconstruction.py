"""reconstruct.py: rows, pictures, kills, forms of a VAE; what runs beside what."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

import rebuild
import reconstruct
from diffusion4k import images, manifest
from diffusion4k.metrics import perceptual, reconstruction, scores
from diffusion4k.vae import reconstruct as vae_reconstruct
from tiny_dataset import rounded, run, source, write_dataset


class Features:
    """A stand-in for Inception: what counts here is which rows come where."""

    def __init__(self, *_):
        pass

    def __call__(self, pixels: list[np.ndarray]) -> np.ndarray:
        return np.stack([p.reshape(-1, 3).mean(0) for p in pixels]).astype(np.float32)


@pytest.fixture
def reconstruct_flags(tmp_path, vgg, monkeypatch) -> list[str]:
    from diffusers import AutoencoderKL

    from diffusion4k.metrics import inception

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(inception, "Inception", Features)
    torch.manual_seed(0)
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 4, 4),
        norm_num_groups=2,
        latent_channels=16,
        sample_size=64,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    vae.save_pretrained(tmp_path / "pipeline" / "vae")
    weights = tmp_path / "inception" / "weights.pth"
    weights.parent.mkdir()
    weights.touch()
    manifest.write(
        tmp_path / "vgg16.json",
        root=vgg[1].parent,
        files=[vgg[1]],
        inputs={},
        settings={},
        started=time.time(),
    )
    flags = f"--vae {source(tmp_path, 'pipeline')} --folder train --size 64 --crop 16 --crops 2"
    flags += f" --dataset {write_dataset(tmp_path, 3)} --vgg16 {tmp_path / 'vgg16.json'}"
    return f"{flags} --inception {source(tmp_path, 'inception', [weights])} --device cpu".split()


def rebuilt_pictures(folder: Path, flags: list, rows: dict[str, dict], *more) -> dict:
    """row => id => pixels, of the photographs and of what each row's VAE makes of them."""
    given = dict(zip(flags[::2], flags[1::2], strict=True))
    words = ["--rows", json.dumps({n: {"vae": str(given["--vae"])} | r for n, r in rows.items()})]
    for name in ("--dataset", "--folder", "--size", "--device"):
        words += [name, given[name]]
    made = run(rebuild, *words, *more, "--output", folder / "rebuilt.json")
    shown: dict = {}
    for one in made.results["pictures"]:
        pixels = np.asarray(images.load_rgb(made.root / one["file"], exif_transpose=False))
        assert (one["height"], one["width"]) == pixels.shape[:2]
        shown.setdefault(one["row"], {})[one["id"]] = pixels
    assert len(made.sound()) == len(made.results["pictures"])
    return shown


def test_reconstruct(reconstruct_flags, tmp_path, monkeypatch):
    one = run(reconstruct, *reconstruct_flags, "--output", tmp_path / "r.json")
    rows = scores.read_rows([one], scores.Reconstruction, 3)
    assert one.notes == ["made from noise"]
    assert "Gaussian" in one.settings["ssim_window"]
    # what is scored is what a figure shows
    shown = rebuilt_pictures(tmp_path / "figure", reconstruct_flags, {"ours": {}})
    real, rebuilt = shown["photograph"]["p1"], shown["ours"]["p1"]
    assert real.shape == rebuilt.shape == (64, 64, 3)
    at = rows["id"].tolist().index("p1")
    assert rows["psnr"][at] == pytest.approx(peak_signal_noise_ratio(real, rebuilt))
    assert 0 < rows["lpips"][at] < 2
    features = scores.read_features([one], "reconstructed")
    assert features[at] == pytest.approx(rebuilt.reshape(-1, 3).mean(0))
    crops = scores.read_features([one], "reconstructed_patches").reshape(3, 4, 3)
    assert crops[at, 3] == pytest.approx(rebuilt[48:, 48:].reshape(-1, 3).mean(0))
    real_crops = scores.read_features([one], "real_patches").reshape(3, 4, 3)
    assert real_crops[at, 0] == pytest.approx(real[:16, :16].reshape(-1, 3).mean(0))

    # two shards are one, and a killed one goes on
    flags = [*reconstruct_flags, "--shards", 2]
    first = run(reconstruct, *flags, "--shard", 0, "--output", tmp_path / "s0.json")
    compare, calls = reconstruction.compare, []

    def killed(*pair):
        calls.append(pair)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return compare(*pair)

    monkeypatch.setattr(reconstruction, "compare", killed)
    with pytest.raises(KeyboardInterrupt):
        run(reconstruct, *flags, "--shard", 1, "--output", tmp_path / "s1.json")
    second = run(reconstruct, *flags, "--shard", 1, "--output", tmp_path / "s1.json")
    assert len(calls) == 3
    both = scores.read_rows([first, second], scores.Reconstruction, 3)
    assert all(np.array_equal(both[name], rows[name]) for name in rows)


def test_reconstruct_after_a_kill_with_another_limit(reconstruct_flags, tmp_path, monkeypatch):
    """What was scored of another set of images is not scored again."""
    (tmp_path / "four").mkdir()
    flags = [*reconstruct_flags, "--dataset", write_dataset(tmp_path / "four", 4)]
    flags += ["--output", tmp_path / "r.json"]
    compare, calls = reconstruction.compare, []

    def killed(*pair):
        calls.append(pair)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return compare(*pair)

    monkeypatch.setattr(reconstruction, "compare", killed)
    with pytest.raises(KeyboardInterrupt):
        run(reconstruct, *flags)
    made = run(reconstruct, *flags, "--limit", 2)
    assert made.results == {"n": 2}
    assert manifest.verify(made) == []
    assert len(calls) == 4


def test_reconstruct_other_forms_of_a_vae(reconstruct_flags, tmp_path, monkeypatch):
    """F8 is the VAE as it was trained; a VAE of its own is read where it lies (an SC-VAE)."""
    from diffusers import AutoencoderKL

    pictures, photographs, tiles = {}, {}, {}
    encode = AutoencoderKL.encode

    def watched(vae, *inputs):
        size = (vae.tile_sample_min_size, vae.tile_latent_min_size)
        tiles.setdefault(name, vae.use_tiling and size)
        return encode(vae, *inputs)

    monkeypatch.setattr(AutoencoderKL, "encode", watched)
    alone = source(tmp_path / "pipeline", "vae")
    forms = {
        "f8": ({"factor": 8}, ()),
        "f16": ({}, ()),
        "published": ({"decoder": "published"}, ()),
        "alone": ({"vae": str(alone)}, ()),
        "whole": ({}, ("--size", 128)),
        "tiled": ({}, ("--size", 128, "--vae-tiling")),
        "f8_tiled": ({"factor": 8}, ("--size", 128, "--vae-tiling")),
    }
    for name, (row, more) in forms.items():
        more = ("--count", 1, *more)
        shown = rebuilt_pictures(tmp_path / name, reconstruct_flags, {name: row}, *more)
        pictures[name] = shown[name]["p0"]
        photographs[name] = shown["photograph"]["p0"]
    vae = AutoencoderKL.from_pretrained(tmp_path / "pipeline" / "vae").eval()
    pixels = images.to_float(Image.fromarray(photographs["f8"]))
    with torch.no_grad():
        latent = vae.encode(torch.from_numpy(pixels)[None]).latent_dist.mode()
        assert latent.shape[-1] == 8
        expected = rounded(vae.decode(latent).sample[0].numpy())
    assert np.array_equal(pictures["f8"], expected)
    assert np.array_equal(pictures["alone"], pictures["f16"])
    # F8 works at twice F16's resolution inside: half the side takes the same memory
    assert tiles["whole"] is tiles["f8"] is False
    assert (tiles["tiled"], tiles["f8_tiled"]) == ((64, 4), (32, 4))
    # this VAE's tiles are 64 px: normalised each by itself, and a note says so
    assert pictures["tiled"].shape == pictures["whole"].shape
    assert not np.array_equal(pictures["tiled"], pictures["whole"])
    assert "reconstructed in tiles" in manifest.read(tmp_path / "tiled" / "rebuilt.json").notes[-1]
    # the released partition is the exact form shifted by one pixel
    published, exact = (pictures[name].astype(int) for name in ("published", "f16"))
    # a value halfway between two levels may round either way
    assert abs(published[1:, 1:] - exact[:-1, :-1]).max() <= 1
    assert abs(published - exact).max() > 1


def test_tensor_float_32_is_the_vaes_alone(reconstruct_flags, tmp_path, monkeypatch):
    """The metrics' networks compute in full float32, whatever the VAE does beside them."""
    from diffusers import AutoencoderKL

    seen = {"vae": set(), "lpips": set(), "inception": set(), "ssim": set()}

    def watched(name, function):
        def call(*arguments, **named):
            seen[name].add(torch.backends.cudnn.allow_tf32)
            return function(*arguments, **named)

        return call

    for name, owner, function in (
        ("vae", AutoencoderKL, "decode"),
        ("vae", AutoencoderKL, "encode"),
        ("lpips", perceptual.Lpips, "__call__"),
        ("inception", Features, "__call__"),
        ("ssim", reconstruction, "compare"),
    ):
        monkeypatch.setattr(owner, function, watched(name, getattr(owner, function)))
    rows = {}
    for flag, expected in (("--tf32", True), ("--no-tf32", False)):
        made = run(reconstruct, *reconstruct_flags, flag, "--output", tmp_path / f"{flag}.json")
        rows[flag] = scores.read_rows([made], scores.Reconstruction, 3)
        assert seen["vae"] == {expected} and made.settings["tf32"] is expected
        assert seen["lpips"] == seen["inception"] == {False}
        [values.clear() for values in seen.values()]
    assert all(np.array_equal(rows["--tf32"][k], rows["--no-tf32"][k]) for k in rows["--tf32"])


def test_metrics_of_a_pair_are_computed_while_the_next_is_rebuilt(
    reconstruct_flags, tmp_path, monkeypatch
):
    """The first pair's only end when the second pair is in the making."""
    compare, rebuilt, rebuild_one = reconstruction.compare, [], vae_reconstruct.rebuild

    def counted(*arguments, **named):
        rebuilt.append(arguments[2])
        return rebuild_one(*arguments, **named)

    def patient(*pair):
        deadline = time.monotonic() + 60
        while len(rebuilt) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        return compare(*pair) | {"ssim": float(len(rebuilt))}

    monkeypatch.setattr(reconstruction, "compare", patient)
    monkeypatch.setattr(vae_reconstruct, "rebuild", counted)
    made = run(reconstruct, *reconstruct_flags, "--output", tmp_path / "r.json")
    rows = scores.read_rows([made], scores.Reconstruction, 3)
    assert rows["id"].tolist() == rebuilt == ["p0", "p1", "p2"]
    assert rows["ssim"].min() >= 2
