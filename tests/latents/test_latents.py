"""The latent store and the encoding loop: content, resume, shards."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import latents
import rounding
import tiny
from diffusion4k import backbones, images, manifest
from diffusion4k.errors import UserError
from diffusion4k.latents.encode import crop_position
from diffusion4k.latents.store import read_sample, sample_path, valid, write_sample
from diffusion4k.pipelines.folder import PipelineFolder


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    for name in ("sd3", "flux"):
        tiny.save_pipeline(name, root)
    tiny.save_dataset(root)
    return root


def encode(sources, folder, *more, backbone="sd3", shard=0, shards=1):
    output = folder / f"shard-{shard}-of-{shards}.json"
    flags = ["--backbone", backbone, "--pipeline", str(sources / f"{backbone}.json")]
    flags += ["--dataset", str(sources / "data.json"), "--size", "64", "--t5-tokens", "12"]
    flags += ["--dtype", "float32", "--device", "cpu", "--output", str(output)]
    flags += ["--shard", str(shard), "--shards", str(shards), *more]
    latents.run(latents.parser().parse_args(flags))
    return manifest.read(output)


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in (folder / "samples").iterdir()}


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "samples").iterdir()}


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_sample_holds_posterior_and_text(sources, tmp_path, name):
    record = encode(sources, tmp_path, backbone=name)
    assert record.results["samples"] == len(record.files) == 4
    assert record.results["samples_per_second"] > 0
    assert record.notes == ["random weights (test)"]
    pipeline = PipelineFolder.open(sources / f"{name}.json").load(dtype=torch.float32, device="cpu")
    tensors, header = read_sample(tmp_path / "samples" / "photo_2-0.safetensors")
    vae = pipeline.vae
    assert (header["id"], header["crop"], header["backbone"]) == ("photo_2", "0", name)
    assert float(header["vae_scaling_factor"]) == vae.config.scaling_factor
    assert float(header["vae_shift_factor"]) == vae.config.shift_factor

    image = images.load_rgb(sources / "data/train/photo_2.png", exif_transpose=True)
    image = images.resize_shorter_side(image, 64)
    where = crop_position(0, "photo_2", 0, height=image.height, width=image.width, size=64)
    pixels = torch.from_numpy(images.to_float(images.crop(image, *where, 64)))[None]
    with torch.no_grad():
        plain = vae.encode(pixels).latent_dist
        flipped = vae.encode(pixels.flip(-1)).latent_dist
    # the pair is stored as one batch of two, which may take another kernel than one by one
    for suffix, expected in (("", plain), ("_flip", flipped)):
        for key in ("mean", "logvar"):
            value = getattr(expected, key)[0]
            rounding.assert_close(tensors[key + suffix], value, rounding.terms(vae.encoder))
    assert tensors["mean"].shape == (16, 4, 4)
    text = backbones.get(name).encode_text(pipeline, ["photograph number 2"], 12, "cpu")[0]
    torch.testing.assert_close(tensors["prompt_embeds"], text["prompt_embeds"])
    torch.testing.assert_close(tensors["pooled"], text["pooled"])


def test_options(sources, tmp_path):
    record = encode(
        sources, tmp_path, "--flip", "none", "--crops-per-image", "2", "--dtype", "bfloat16"
    )
    assert record.results["samples"] == 8
    first, _ = read_sample(tmp_path / "samples" / "photo_3-0.safetensors")
    second, header = read_sample(tmp_path / "samples" / "photo_3-1.safetensors")
    assert set(first) == {"mean", "logvar", "prompt_embeds", "pooled"}
    assert first["mean"].dtype == torch.bfloat16 and header["crop"] == "1"
    assert not torch.equal(first["mean"], second["mean"])
    assert torch.equal(first["prompt_embeds"], second["prompt_embeds"])


def test_one_shard_equals_three(sources, tmp_path):
    encode(sources, tmp_path / "one")
    made = [encode(sources, tmp_path / "three", shard=i, shards=3) for i in range(3)]
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "three")
    assert [len(record.files) for record in made] == [1, 1, 2]


def test_resume_makes_only_what_is_missing_or_broken(sources, tmp_path):
    encode(sources, tmp_path)
    before, written = bytes_of(tmp_path), times(tmp_path)
    sample_path(tmp_path / "samples", "photo_0", 0).unlink()
    broken = sample_path(tmp_path / "samples", "photo_1", 0)
    broken.write_bytes(broken.read_bytes()[:-7])
    encode(sources, tmp_path)
    assert bytes_of(tmp_path) == before
    again = times(tmp_path)
    kept = {name for name in written if written[name] == again[name]}
    assert kept == {"photo_2-0.safetensors", "photo_3-0.safetensors"}
    done = encode(sources, tmp_path)
    assert times(tmp_path) == again and done.results["samples_per_second"] is None


@pytest.mark.parametrize("flags", [("--seed", "1"), ("--encoder", "dilation"), ("--size", "32")])
def test_other_settings_encode_again(sources, tmp_path, flags):
    encode(sources, tmp_path)
    before = bytes_of(tmp_path)
    encode(sources, tmp_path, *flags)
    assert all(before[name] != data for name, data in bytes_of(tmp_path).items())


def test_other_caption_or_image_encodes_again(tmp_path):
    tiny.save_pipeline("sd3", tmp_path)
    tiny.save_dataset(tmp_path, count=3)
    encode(tmp_path, tmp_path / "out")
    before = bytes_of(tmp_path / "out")
    listing = tmp_path / "data/train/metadata.jsonl"
    lines = [json.loads(line) for line in listing.read_text().splitlines()]
    lines[1]["text"] = "another caption"
    listing.write_text("\n".join(map(json.dumps, lines)))
    Image.fromarray(np.zeros((70, 90, 3), np.uint8)).save(tmp_path / "data/train/photo_2.png")
    tiny.save_manifest(tmp_path / "data.json", tmp_path / "data")
    encode(tmp_path, tmp_path / "out")
    after = bytes_of(tmp_path / "out")
    changed = [name for name in sorted(after) if after[name] != before[name]]
    assert changed == ["photo_1-0.safetensors", "photo_2-0.safetensors"]


def test_crop_positions_are_stateless_and_cover_the_image():
    seen = {crop_position(0, "a", c, height=40, width=35, size=32) for c in range(400)}
    assert seen == {(top, left) for top in range(9) for left in range(4)}
    again = crop_position(0, "a", 7, height=40, width=35, size=32)
    assert again == crop_position(0, "a", 7, height=40, width=35, size=32)
    assert crop_position(0, "a", 0, height=32, width=32, size=32) == (0, 0)


def test_store(tmp_path):
    path = sample_path(tmp_path, "a", 0)
    assert not valid(path)
    write_sample(path, {"mean": torch.ones(2, 3).T}, {"settings": "x"})
    assert valid(path) and valid(path, "x") and not valid(path, "y")
    path.write_bytes(path.read_bytes()[:-1])
    assert not valid(path)
    with pytest.raises(UserError, match="not a latent sample"):
        read_sample(path)
    path.write_bytes(b"")
    assert not valid(path)


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_crops_need_not_be_square(sources, tmp_path, name):
    encode(sources, tmp_path, "--size", "64x96", backbone=name)
    tensors, header = read_sample(tmp_path / "samples" / "photo_0-0.safetensors")
    assert header["size"] == "64x96"
    assert tensors["mean"].shape == tensors["logvar_flip"].shape == (16, 4, 6)
    image = images.load_rgb(sources / "data/train/photo_0.png", exif_transpose=True)
    image = images.resize_shorter_side(image, (64, 96))  # 80 x 72 px: enlarged to 96 x 86
    assert image.size == (96, 86)
    how = {"height": image.height, "width": image.width, "size": (64, 96)}
    top, left = crop_position(0, "photo_0", 0, **how)
    assert left == 0 and 0 <= top <= 22
    pixels = torch.from_numpy(images.to_float(images.crop(image, top, left, (64, 96))))[None]
    pipeline = PipelineFolder.open(sources / f"{name}.json").load(dtype=torch.float32, device="cpu")
    with torch.no_grad():
        mean = pipeline.vae.encode(pixels).latent_dist.mean[0]
    rounding.assert_close(tensors["mean"], mean, rounding.terms(pipeline.vae.encoder))
    tops = {crop_position(0, "photo_0", crop, **how)[0] for crop in range(200)}
    assert len(tops) == 23


def test_refusals(sources, tmp_path, capsys):
    with pytest.raises(UserError, match="--size 64x40: must be of multiples of 32"):
        encode(sources, tmp_path, "--size", "64x40")
    with pytest.raises(UserError, match="multiples of 32"):
        encode(sources, tmp_path, "--size", "40")
    with pytest.raises(SystemExit):
        encode(sources, tmp_path, "--t5-tokens", "513")
    assert "--t5-tokens: should be at least 1 and at most 512, not 513" in capsys.readouterr().err
    with pytest.raises(UserError, match="not a pipeline of the backbone flux"):
        encode(sources, tmp_path, "--pipeline", str(sources / "sd3.json"), backbone="flux")


def test_a_latent_that_is_not_finite_is_not_stored(tmp_path):
    path = sample_path(tmp_path, "a", 0)
    with pytest.raises(UserError, match="a-0: its mean: holds values that are no numbers"):
        write_sample(path, {"mean": torch.tensor([1.0, float("nan")])}, {})
    assert not path.exists()
