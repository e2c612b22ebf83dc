"""Which text a figure says that a finished picture is of."""

import json
import shutil

import pytest

import import_images
import tiny_dataset
from diffusion4k import images, manifest
from diffusion4k.figures.shown import Shown


@pytest.fixture
def datasets(tmp_path):
    """The photographs' data set, and the same photographs under other captions."""
    photographs = tiny_dataset.write_dataset(tmp_path, 2)
    folder = tmp_path / "other/train"
    shutil.copytree(tmp_path / "data/train", folder)
    lines = [json.dumps({"file_name": f"p{i}.png", "text": f"other {i}"}) for i in range(2)]
    (folder / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return photographs, tiny_dataset.source(tmp_path, "other")


def test_finished_pictures_have_the_text_that_they_were_matched_to(datasets, tmp_path):
    """Which may be of captions of the model's own, and not the photographs'."""
    rows = {}
    for row, dataset in zip("ab", datasets, strict=True):
        for i in range(2):
            pixels = tiny_dataset.photograph(i, 64, 64)
            images.save_png(tmp_path / f"mine/p{i}.png", pixels)
        output = tmp_path / f"taken/{row}/shard.json"
        flags = ["--images", tmp_path / "mine", "--dataset", dataset, "--folder", "train"]
        flags += ["--size", 64, "--output", output]
        import_images.run(import_images.parser().parse_args([*map(str, flags)]))
        rows[row] = [manifest.read(output)]
    reference = manifest.read(datasets[0])
    shown = Shown(rows, {"a": "A", "b": "B"}, {}, reference, "train")
    first = [shown.photographs[f"p{i}"].text for i in range(2)]
    assert [picture.prompt for picture in shown.pictures("a")] == first
    assert [picture.prompt for picture in shown.pictures("b")] == ["other 0", "other 1"] != first
