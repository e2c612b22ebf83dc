"""distance.py: generated pictures against the photographs of their prompts."""

import numpy as np
import pytest
from PIL import Image

import distance
from diffusion4k import images
from diffusion4k.errors import UserError
from diffusion4k.metrics import aggregate, families, retrieval, scores
from tiny_dataset import disturbed, photograph, run, source, write_dataset


def test_the_nearest_photograph_is_looked_for_among_those_of_all_shards(tmp_path):
    """Two shards: p0 is drawn as itself, p1 as the photograph of p2 in the other shard."""
    dataset = write_dataset(tmp_path, 4)
    shards = []
    for number, drawn in enumerate([{"p0": 0, "p1": 2}, {"p2": 2, "p3": 3}]):
        files = []
        for id, of in drawn.items():
            whole = Image.fromarray(photograph(of, 80 + of, 100))
            square = images.center_crop(images.resize_shorter_side(whole, 64), 64)
            files.append(tmp_path / f"generated-{number}" / f"{id}.jpg")
            images.save_jpeg(files[-1], disturbed(np.asarray(square), 20))
        shard = source(tmp_path, f"generated-{number}", files)
        flags = ["--images", shard, "--dataset", dataset, "--folder", "train", "--size", 64]
        shards.append(run(distance, *flags, "--output", tmp_path / f"distance-{number}-of-2.json"))
    columns = aggregate.rows("distance", shards, expected=4)
    assert columns["retrieval"].tolist() == [1, 0, 1, 1]
    results = families.get("distance").aggregate(shards, expected=4)
    assert (results["retrieval"]["value"], results["retrieval"]["n"]) == (0.75, 4)
    low, high = results["retrieval"]["interval"]
    assert 0 <= low < 0.75 < high <= 1


def test_pictures_need_not_be_square(tmp_path):
    dataset = write_dataset(tmp_path, 3)
    files = []
    for i in range(3):
        whole = Image.fromarray(photograph(i, 80 + i, 100))
        part = images.center_crop(images.resize_shorter_side(whole, (32, 96)), (32, 96))
        files.append(tmp_path / "generated" / f"p{i}.jpg")
        images.save_jpeg(files[-1], np.asarray(part))
    flags = ["--images", source(tmp_path, "generated", files), "--dataset", dataset]
    flags += ["--folder", "train", "--output", tmp_path / "distance-0-of-1.json"]
    rows = scores.read_rows([run(distance, *flags, "--size", "32x96")], scores.Distance, 3)
    assert (rows["rmse"] < 0.06).all()
    with pytest.raises(UserError, match="32x96 px .* where 96x32 is expected"):
        run(distance, *flags, "--size", "96x32")


def test_one_average_for_every_prompt_is_nobodys_photograph():
    real = np.random.default_rng(0).random((6, 8))
    average = np.tile(real.mean(0), (6, 1))
    assert retrieval.retrieved(average, real).sum() == 1
    assert retrieval.retrieved(real + 0.01, real).all()
    picture = Image.fromarray(photograph(1, 64, 96))
    small = retrieval.thumbnail(picture)
    assert small.shape == (1, 768) and small.dtype == np.float32
    means = np.asarray(picture, float).reshape(16, 4, 16, 6, 3).mean((1, 3)) / 255
    assert small.reshape(16, 16, 3) == pytest.approx(means, abs=1.01 / 255)


def test_distance(tmp_path):
    dataset = write_dataset(tmp_path, 3)
    files = []
    for i, strength in enumerate((0, 0, 80)):
        whole = Image.fromarray(photograph(i, 80 + i, 100))
        square = images.center_crop(images.resize_shorter_side(whole, 64), 64)
        files.append(tmp_path / "generated" / f"p{i}.jpg")
        images.save_jpeg(files[-1], disturbed(np.asarray(square), strength))
    shard = source(tmp_path, "generated", files)
    flags = ["--images", shard, "--dataset", dataset, "--folder", "train"]
    flags += ["--output", tmp_path / "distance-0-of-1.json"]
    rows = scores.read_rows([run(distance, *flags, "--size", 64)], scores.Distance, 3)
    assert (rows["rmse"][:2] < 0.05).all() and rows["rmse"][2] > 0.1
    assert rows["psnr"] == pytest.approx(-20 * np.log10(rows["rmse"]))
    near = run(distance, *flags, "--size", 64, "--compare-size", 4)
    assert scores.read_rows([near], scores.Distance, 3)["rmse"][2] < rows["rmse"][2]
    with pytest.raises(UserError, match="64x64 px .* 128x128 is expected"):
        run(distance, *flags, "--size", 128)
