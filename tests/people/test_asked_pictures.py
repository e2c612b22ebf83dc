"""Which picture is of which model and prompt, whatever made it."""

import time

import numpy as np
import pytest

from diffusion4k import images, manifest
from diffusion4k.errors import UserError
from diffusion4k.people import pictures


def picture(path):
    images.save_jpeg(path, np.zeros((8, 8, 3), np.uint8))
    return path


def made(path, files, **results):
    common = {"inputs": {}, "settings": {}, "started": time.time()}
    manifest.write(path, root=path.parent, files=files, results=results, **common)
    return path


def test_drawn_pictures_are_told_by_their_manifest_and_a_benchmarks_by_their_names(tmp_path):
    drawn = [
        picture(tmp_path / f"drawn/{row}/images/p{i}-0a1b2c3d.jpg") for row in "ab" for i in (0, 7)
    ]
    records = [
        {"row": row, "id": f"p{i}", "file": f"{row}/images/p{i}-0a1b2c3d.jpg"}
        for row in "ab"
        for i in (0, 7)
    ]
    first = made(tmp_path / "drawn/shard-0-of-1.json", drawn, pictures=records)
    own = [picture(tmp_path / f"c/images/p{i}.jpg") for i in (0, 7)]
    own += [picture(tmp_path / "c" / images.LOSSLESS / "p0.png")]
    second = made(tmp_path / "c/shard-0-of-1.json", own)
    found = pictures.of(pictures.sources([f"a={first}", f"c={second}"]))
    assert {model: [*of] for model, of in found.items()} == {"a": ["p0", "p7"], "c": ["p0", "p7"]}
    assert found["a"]["p7"].sound() == drawn[1] and found["c"]["p0"].sound() == own[0]


@pytest.mark.parametrize("pair", ["a", "=x.json", "a="])
def test_a_pair_without_either_half_is_refused(pair):
    with pytest.raises(UserError, match="write MODEL=MANIFEST"):
        pictures.sources([pair])
