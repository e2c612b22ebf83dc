"""Training that encodes its images itself, as the released code does, against stored latents."""

import dataclasses
import time

import numpy as np
import pytest
import torch
from PIL import Image

import latents
import tiny
from diffusion4k import backbones, manifest
from diffusion4k.data import captions as metadata
from diffusion4k.errors import UserError
from diffusion4k.train import samples
from tiny_training import (
    assert_close_trainings,
    close_steps,
    history,
    job_for,
    recipe,
    train,
    weights,
)

SIZE = 64


pytestmark = pytest.mark.usefixtures("fresh_accelerator")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The SD3 pipeline; a data set whose crops can move, and one whose images are the crops."""
    root = tmp_path_factory.mktemp("sources")
    tiny.save_pipeline("sd3", root)
    tiny.save_dataset(root)
    square = root / "square" / "train"
    square.mkdir(parents=True)
    listing = (root / "data/train/metadata.jsonl").read_text(encoding="utf-8")
    (square / "metadata.jsonl").write_text(listing, encoding="utf-8")
    for path in (root / "data" / "train").glob("*.png"):
        Image.open(path).resize((SIZE, SIZE)).save(square / path.name)
    tiny.save_manifest(root / "square.json", root / "square")
    for data in ("data", "square"):
        for mode in ("online", "precomputed"):
            encode(root, root / f"{mode}-{data}.json", "--mode", mode, data=data)
    return root


def encode(root, output, *more, data="data"):
    flags = [
        "--backbone",
        "sd3",
        "--pipeline",
        root / "sd3.json",
        "--dataset",
        root / f"{data}.json",
    ]
    flags += ["--size", SIZE, "--t5-tokens", 12, "--dtype", "float32", "--device", "cpu"]
    output = output.parent / output.stem / output.name  # the samples lie beside it
    latents.run(latents.parser().parse_args([*map(str, [*flags, "--output", output, *more])]))
    return output


def job(root, folder, mode, data, **changes):
    dataset = {"dataset": root / f"{data}.json"} if mode == "online" else {}
    made = root / f"{mode}-{data}" / f"{mode}-{data}.json"
    return job_for(root, folder, latents=(made,), **dataset | changes)


def test_an_online_sample_is_its_text(sources):
    made = manifest.read(sources / "online-data" / "online-data.json")
    assert made.results["samples"] == 4 and len(made.files) == 4
    found, _ = samples.listing([made.path])
    header = samples.header(found[0])
    assert header.online and (header.size, header.height, header.dtype) == (SIZE, 4, "float32")
    stored = samples._tensors(found[0].crops[0].path, False)
    assert set(stored) == {"prompt_embeds", "pooled"}


def test_where_crops_cannot_move_online_is_precomputed(sources, tmp_path):
    """The images are as large as the crops; flips are drawn alike. Batches round differently."""
    online = train(recipe(), job(sources, tmp_path / "online", "online", "square"))
    stored = train(recipe(), job(sources, tmp_path / "stored", "precomputed", "square"))
    assert_close_trainings(online, stored, sources / "sd3")
    losses = [
        [row["loss"] for row in history(tmp_path / name / "step-000006.json")]
        for name in ("online", "stored")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=close_steps())


def online_samples(sources, **changes):
    made = sources / "online-data" / "online-data.json"
    found, _ = samples.listing([made])
    data = manifest.read(sources / "data.json")
    pictures = {sample.id: sample for sample in metadata.of(data, "train")}
    draws = samples.Draws(0, 4, 0, 0.0, backbones.get("sd3").draw_u)
    draws = dataclasses.replace(draws, **changes)
    return samples.OnlineSamples(found, draws, pictures=pictures, size=SIZE), pictures


def test_each_draw_is_another_crop_of_the_right_image(sources):
    data, pictures = online_samples(sources)
    places = set()
    for step in range(30):
        item, sample = data[step, 0], data.sample(step, 0)
        assert item["pixels"].dtype == torch.uint8 and item["pixels"].shape == (3, SIZE, SIZE)
        assert item["eps"].shape == item["noise"].shape == (16, 4, 4)
        image = Image.open(pictures[sample.id].path).convert("RGB")
        width = int(SIZE * image.width / image.height)
        whole = np.asarray(image.resize((width, SIZE), Image.Resampling.BILINEAR))
        pixels = item["pixels"].permute(1, 2, 0).numpy()
        found = [x for x in range(width - SIZE + 1) if (whole[:, x : x + SIZE] == pixels).all()]
        assert found
        places.add((sample.id, found[0]))
    assert len(places) > 15


def test_the_draws_are_those_of_stored_latents_and_of_released_ranks(sources):
    """u and noise do not depend on the mode; ranks that draw alike crop alike."""
    data, _ = online_samples(sources, repeat_every=2)
    found, _ = samples.listing([sources / "precomputed-data" / "precomputed-data.json"])
    stored = samples.Samples(found, data.draws)
    for slot in range(4):
        assert torch.equal(data[5, slot]["u"], stored[5, slot]["u"])
        assert torch.equal(data[5, slot]["noise"], stored[5, slot]["noise"])
    assert torch.equal(data[5, 0]["eps"], data[5, 2]["eps"])
    flipped, _ = online_samples(sources, flip=1.0)
    plain, _ = online_samples(sources)
    assert torch.equal(flipped[3, 1]["pixels"], plain[3, 1]["pixels"].flip(-1))


def test_online_training_resumes_exactly_with_loading_processes(sources, tmp_path):
    straight = job(sources, tmp_path / "straight", "online", "data", workers=2)
    expected = train(recipe(), straight)
    first = job(sources, tmp_path / "chain", "online", "data", stop_step=3, workers=0)
    train(recipe(), first)
    second = job(sources, tmp_path / "chain", "online", "data", start=first.output, workers=1)
    resumed = train(recipe(), second)
    assert all(torch.equal(resumed[key], expected[key]) for key in expected)
    assert weights(straight.output).keys() == expected.keys()


@pytest.mark.parametrize("mode", ["online", "precomputed"])
def test_training_need_not_be_square(sources, tmp_path, mode):
    """The same draws of timesteps and noise, of pictures of 32 x 64 px, two tokens wide."""
    made = encode(sources, tmp_path / f"{mode}.json", "--mode", mode, "--size", "32x64")
    found, _ = samples.listing([made])
    header = samples.header(found[0])
    assert (header.height, header.width) == (2, 4)
    dataset = {"dataset": sources / "data.json"} if mode == "online" else {}
    wide = job_for(sources, tmp_path / "train", latents=(made,), stop_step=2, **dataset)
    train(recipe(timestep_shift="dynamic"), wide)
    losses = [row["loss"] for row in history(wide.output)]
    assert len(losses) == 2 and np.isfinite(losses).all()
    if mode == "online":
        data, pictures = online_samples(sources)
        data = samples.OnlineSamples(found, data.draws, pictures=pictures, size=header.size)
        item = data[0, 0]
        assert item["pixels"].shape == (3, 32, 64) and item["eps"].shape == (16, 2, 4)


def test_refusals(sources, tmp_path):
    lacking = job(sources, tmp_path, "online", "data")
    with pytest.raises(UserError, match="give the images by --dataset"):
        train(recipe(), dataclasses.replace(lacking, dataset=None))
    other = tmp_path / "other" / "train"
    other.mkdir(parents=True)
    Image.new("RGB", (70, 70)).save(other / "else.png")
    line = '{"file_name": "else.png", "text": "else"}\n'
    (other / "metadata.jsonl").write_text(line, encoding="utf-8")
    manifest.write(
        tmp_path / "other.json", root=other.parent, files=other.iterdir(), inputs={}, settings={},
        started=time.time(),
    )  # fmt: skip
    with pytest.raises(UserError, match="no image for photo_0, photo_1"):
        train(recipe(), dataclasses.replace(lacking, dataset=tmp_path / "other.json"))
