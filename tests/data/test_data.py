"""The check of a split: sizes as seen, and every offender by name."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import check_data
from diffusion4k import manifest
from diffusion4k.data import captions
from diffusion4k.data import check as data
from diffusion4k.errors import UserError
from tiny_pictures import relist

SCRIPT = Path(check_data.__file__)


def save(path, width, height, seed=0, **options):
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)


def listing(folder, captions):
    lines = [json.dumps({"file_name": name, "text": text}) for name, text in captions.items()]
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture
def dataset(tmp_path):
    """Three images, one of them stored on its side, and their manifest."""
    folder = tmp_path / "source" / "train"
    folder.mkdir(parents=True)
    save(folder / "a.jpg", 60, 40, 1)
    save(folder / "b.png", 80, 50, 2)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    save(folder / "c.jpg", 100, 70, 3, exif=exif)
    listing(folder, {"a.jpg": "a cat", "b.png": "a dog", "c.jpg": "a bird"})
    path = tmp_path / "source.json"
    manifest.write(
        path,
        root=folder.parent,
        files=sorted(folder.iterdir()),
        inputs={},
        settings={},
        started=time.time(),
        notes=["photographs of noise"],
    )
    return path


def flags(dataset, expected=3, *more):
    return [
        *("--dataset", str(dataset), "--folder", "train", "--split", "train"),
        *("--expected", str(expected), "--workers", "1"),
        *("--output", str(dataset.parent / "data" / "train.json"), *more),
    ]


def check(dataset, expected=3, *more):
    check_data.run(check_data.parser().parse_args(flags(dataset, expected, *more)))
    return manifest.read(dataset.parent / "data" / "train.json")


def offenders(dataset, expected=3, *more):
    with pytest.raises(UserError, match="offenders, listed in .*train-offenders.txt"):
        check(dataset, expected, *more)
    assert not (dataset.parent / "data" / "train.json").exists()
    return (dataset.parent / "data" / "train-offenders.txt").read_text().splitlines()


def test_a_sound_split_gives_its_statistics_after_exif_orientation(dataset):
    made = check(dataset, 3, "--size", "50")
    results = made.results
    assert (results["n"], results["offenders"], results["duplicates"]) == (3, [], [])
    assert results["median_height"] == {"value": 50.0, "n": 3}
    assert results["median_width"] == {"value": 70.0, "n": 3}
    assert results["mean_height"]["value"] == pytest.approx((40 + 50 + 100) / 3)
    assert results["mean_width"]["value"] == pytest.approx((60 + 80 + 70) / 3)
    assert results["below_size"] == {"value": 1, "n": 3}
    assert made.notes == ["photographs of noise"]
    table = pd.read_parquet(made.paths()[0])
    assert table.to_dict("list") == {
        "id": ["a", "b", "c"],
        "file_name": ["a.jpg", "b.png", "c.jpg"],
        "width": [60, 80, 70],
        "height": [40, 50, 100],
    }


def test_a_split_may_ask_for_a_least_height_and_width(dataset):
    """The images are 60 x 40, 80 x 50 and, upright, 70 x 100, width x height."""
    wrong = offenders(dataset, 3, "--min-side", "50x80")
    assert [line.partition(":")[0] for line in wrong] == ["a.jpg", "c.jpg"]
    assert "70 x 100 px, at least 80 x 50 are asked" in wrong[1]
    assert check(dataset, 3, "--min-side", "40x60").results["below_size"]["value"] == 0
    counted = check(dataset, 3, "--size", "41x70").results["below_size"]["value"]
    assert counted == 1


def test_processes_agree_with_one(dataset):
    samples = captions.read(manifest.read(dataset).root, "train")
    alone = list(data.inspect_all(samples, min_side=0, workers=1))
    assert list(data.inspect_all(samples, min_side=0, workers=2)) == alone


def test_every_offender_is_named_with_its_reason(dataset):
    folder = manifest.read(dataset).root / "train"
    whole = (folder / "c.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "page.png").write_text("<html>429 Too Many Requests</html>")
    save(folder / "stray.JPG", 90, 90, format="JPEG")
    names = ["a.jpg", "b.png", "c.jpg", "cut.jpg", "empty.jpg", "page.png", "gone.jpg"]
    listing(folder, dict.fromkeys(names, "a caption") | {"b.png": "  "})
    relist(dataset, *folder.iterdir())
    found = dict(line.split(": ", 1) for line in offenders(dataset, 8, "--min-side", "45"))
    assert found["a.jpg"] == "60 x 40 px, the shorter side must be at least 45"
    assert found["b.png"] == "no caption"
    assert "truncated" in found["cut.jpg"]
    assert "zero bytes" in found["empty.jpg"]
    assert "cannot be decoded" in found["page.png"]
    assert "no such image" in found["gone.jpg"]
    assert found["stray.JPG"] == "no line in metadata.jsonl"
    assert found["metadata.jsonl"].startswith("7 images, 8 expected; if this copy is whole")
    assert "c.jpg" not in found


def test_equal_files_are_noted_or_refused(dataset):
    folder = manifest.read(dataset).root / "train"
    shutil.copy(folder / "a.jpg", folder / "z.jpg")
    listing(folder, dict.fromkeys(["a.jpg", "b.png", "c.jpg", "z.jpg"], "a caption"))
    relist(dataset, *folder.iterdir())
    line = "z.jpg: the same bytes as a.jpg"
    assert offenders(dataset, 4, "--refuse-duplicates") == [line]
    made = check(dataset, 4)
    assert made.results["duplicates"] == [line]
    assert made.notes[-1] == f"train: 1 images come twice, e.g. {line}"
    assert not (dataset.parent / "data" / "train-offenders.txt").exists()


def test_the_script_prints_offenders_and_one_line_of_error(dataset):
    command = [sys.executable, str(SCRIPT), *flags(dataset, 4)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "metadata.jsonl: 3 images, 4 expected; if this copy is whole, set the split's count to 3 in"
        " the configuration"
    ]
    assert done.stderr.splitlines()[-1].startswith("error: train: 1 offenders, listed in ")
    assert "Traceback" not in done.stderr
