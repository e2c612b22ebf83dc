"""distance.py: generated pictures against the photographs of their prompts."""

import numpy as np
import pytest
from PIL import Image

import distance
from diffusion4k import images
from diffusion4k.errors import UserError
from diffusion4k.metrics import scores
from tiny_dataset import disturbed, photograph, run, source, write_dataset


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
