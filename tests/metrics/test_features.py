"""features.py with tiny random networks: its rows, its resume, and what it refuses."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import features
from diffusion4k import images, manifest
from diffusion4k.errors import UserError
from diffusion4k.metrics import inception, inputs, scores
from tiny_metrics import CPU, PROMPTS, source
from tiny_pictures import picture, relist


def write_dataset(root: Path, count: int) -> Path:
    folder = root / "data" / "eval"
    folder.mkdir(parents=True)
    lines = []
    for i in range(count):
        images.save_jpeg(folder / f"p{i}.jpg", np.asarray(picture(i, 100, 140 + i)))
        lines.append(json.dumps({"file_name": f"p{i}.jpg", "text": PROMPTS[i % 3]}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return source(root / "data", *folder.iterdir(), notes=("made from noise",))


def write_generated(root: Path, ids: list[str], size: int = 96) -> Path:
    files = [root / "generated" / "images" / f"{id}.jpg" for id in ids]
    for i, file in enumerate(files):
        images.save_jpeg(file, np.asarray(picture(50 + i, size, size)))
    path = root / "generated" / "shard-0-of-1.json"
    asked = {"height": 96, "width": 96}
    manifest.write(
        path, root=path.parent, files=files, inputs={}, settings=asked, started=time.time()
    )
    return path


@pytest.fixture
def arguments(networks, tmp_path, monkeypatch) -> list[str]:
    """features.py's flags for the networks and a data set of five photographs."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    dataset = write_dataset(tmp_path, 5)
    made = {
        name: source(folder, *folder.iterdir(), notes=("random weights (miniature)",))
        for name, folder in networks.items()
    }
    flags = f"--dataset {dataset} --folder eval --clip {made['clip']} --device cpu"
    flags += f" --clip-large {made['clip_large']} --aesthetics-head {made['head']}"
    flags += f" --inception-clean {made['clean']} --crop 40 --crops 2"
    return f"{flags} --inception {made['inception']} --batch 2".split()


def run(*flags: object) -> None:
    features.run(features.parser().parse_args([str(flag) for flag in flags]))


def test_features_of_generated_images(arguments, tmp_path, small, networks):
    shard = write_generated(tmp_path, ["p3", "p0", "p2"])
    output = tmp_path / "features-0-of-1.json"
    run("--images", shard, "--output", output, *arguments)
    made = manifest.read(output)
    assert made.notes[:2] == ["made from noise", "random weights (miniature)"]
    assert "JPEG alone" in made.notes[2] and len(made.notes) == 3
    rows = scores.read_rows([made], scores.Alignment, 3)
    values = scores.read_features([made], "features")
    assert values.shape == (3, 2048) and len(np.unique(values[:, 0])) == 3
    order = rows["id"].tolist()
    patches = scores.read_features([made], "patches").reshape(3, 4, 2048)
    pixels = np.asarray(Image.open(shard.parent / "images" / "p2.jpg"))
    corners = [pixels[y : y + 40, x : x + 40] for y in (0, 56) for x in (0, 56)]
    network = inception.Inception(next(networks["inception"].iterdir()), CPU)
    assert patches[order.index("p2")] == pytest.approx(network(corners), rel=1e-4, abs=1e-4)
    assert scores.read_features([made], "clean").shape == (3, 2048)
    assert sorted(order) == ["p0", "p2", "p3"]
    image = images.load_rgb(shard.parent / "images" / "p2.jpg", exif_transpose=False)
    expected = small.score([image], [PROMPTS[2]])[0]
    at = order.index("p2")
    assert rows["clipscore_published"][at] == pytest.approx(expected.published, abs=1e-4)
    assert rows["clipscore_end_token"][at] == pytest.approx(expected.with_end_token, abs=1e-4)
    assert rows["n_tokens"][at] > 77
    assert np.isfinite(rows["aesthetics"]).all()
    assert not output.with_suffix(".progress").exists()


def test_features_of_the_reference_resume(arguments, tmp_path, monkeypatch):
    whole, part = tmp_path / "whole.json", tmp_path / "part.json"
    run("--reference", "--size", 96, "--output", whole, *arguments)
    real = inception.Inception.__call__
    calls = []

    def killed(self, batch):
        calls.append(len(batch))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, batch)

    monkeypatch.setattr(inception.Inception, "__call__", killed)
    with pytest.raises(KeyboardInterrupt):
        run("--reference", "--size", 96, "--output", part, *arguments)
    run("--reference", "--size", 96, "--output", part, *arguments)
    # a batch of images, then their crops; two images were kept before the kill
    assert calls == [2, 8, 2, 2, 8, 1, 4]
    one, two = manifest.read(whole), manifest.read(part)
    assert [f.sha256 for f in one.files] == [f.sha256 for f in two.files]
    with pytest.raises(UserError, match="--size"):
        run("--reference", "--output", part, *arguments)


def test_a_picture_is_scored_as_in_memory_where_that_is_kept(arguments, tmp_path):
    shard = write_generated(tmp_path / "model", ["p0", "p1"])
    root = shard.parent
    lossless = root / "lossless" / "p0.png"
    images.save_png(lossless, np.asarray(picture(50, 96, 96)))
    files = [*(root / "images").iterdir(), lossless]
    asked = {"height": 96, "width": 96}
    manifest.write(shard, root=root, files=files, inputs={}, settings=asked, started=time.time())
    made = {}
    for how in ("jpeg", "memory"):
        output = tmp_path / f"{how}.json"
        run("--images", shard, "--score-input", how, "--output", output, *arguments)
        made[how] = manifest.read(output)
    jpeg, memory = made.values()
    ids = scores.read_rows([memory], scores.Alignment, 2)["id"].tolist()
    assert sorted(ids) == ["p0", "p1"]
    one, two = (scores.read_features([made], "features") for made in (jpeg, memory))
    changed = {id: bool((a != b).any()) for id, a, b in zip(ids, one, two, strict=True)}
    assert changed == {"p0": True, "p1": False}  # of p1 there is the JPEG alone, which is said
    said = "has pictures as JPEG alone: FID, CLIPScore and Aesthetics are of these"
    assert any(said in note for note in memory.notes)
    assert not any(said in note for note in jpeg.notes)


def test_references_have_the_shape_of_the_pictures(arguments, tmp_path, networks):
    """Photographs of 140 to 144 x 100 px, wide ones cut above and below."""
    run("--reference", "--size", "64x128", "--output", tmp_path / "wide.json", *arguments)
    wide = manifest.read(tmp_path / "wide.json")
    assert not any("enlarged" in note for note in wide.notes)
    rows = scores.read_rows([wide], scores.Alignment, 5)
    path = tmp_path / "data" / "eval" / "p3.jpg"
    whole = Image.open(path).resize((128, int(128 * 100 / 143)), Image.Resampling.BILINEAR)
    top = round((whole.height - 64) / 2)
    expected = np.asarray(whole)[top : top + 64]
    network = inception.Inception(next(networks["inception"].iterdir()), CPU)
    features = scores.read_features([wide], "features")[rows["id"].tolist().index("p3")]
    assert features == pytest.approx(network([expected])[0], rel=1e-4, abs=1e-4)
    run("--reference", "--size", "128x64", "--output", tmp_path / "tall.json", *arguments)
    said = "eval has photographs of less than 128x64 px, which were enlarged"
    assert said in manifest.read(tmp_path / "tall.json").notes


def test_features_refuse_what_does_not_fit(arguments, tmp_path):
    stranger = write_generated(tmp_path / "a", ["p0", "zebra"])
    with pytest.raises(UserError, match="no prompt for zebra"):
        run("--images", stranger, "--output", tmp_path / "f.json", *arguments)
    small_one = write_generated(tmp_path / "b", ["p0"], size=64)
    with pytest.raises(UserError, match="p0.jpg: 64x64 px .* 96x96 is expected"):
        run("--images", small_one, "--output", tmp_path / "f.json", *arguments)
    empty = manifest.read(write_generated(tmp_path / "c", ["p0"]))
    empty.paths()[0].write_bytes(b"")
    relist(empty.path)
    with pytest.raises(UserError, match="zero bytes"):
        run("--images", empty.path, "--output", tmp_path / "f.json", *arguments)


def test_a_manifests_checksum_is_that_of_the_file(tmp_path):
    path = tmp_path / "net" / "weights.pth"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    found = manifest.read(source(tmp_path / "net", path))
    assert inputs.checksum(found, inputs.weights(found)).startswith("9a129038")
