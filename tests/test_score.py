"""Scoring a folder by hand, and what bad input is called."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import quality as quality_script
import score as script
import texture
from diffusion4k import images, manifest
from diffusion4k.errors import UserError
from diffusion4k.metrics import compression, frechet, glcm, inputs, quality
from test_aggregate import generated
from test_clip_scores import clip_folder, head_file, inception_file, picture


def run(*flags: object) -> None:
    script.run(script.parser().parse_args([str(flag) for flag in flags]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(5):
        pixels = np.asarray(picture(i, 128, 128))
        images.save_jpeg(tmp_path / "images" / f"p{i}.jpg", pixels)
    return tmp_path / "images"


def numbers(text: str) -> dict[str, float]:
    return {line.split()[0]: float(line.split()[1]) for line in text.splitlines()[1:]}


def test_glcm(folder, tmp_path, capsys):
    run("glcm", folder, "--output", tmp_path / "glcm.parquet", "--patch", 32, "--levels", 16)
    shown = numbers(capsys.readouterr().out)
    rows = pd.read_parquet(tmp_path / "glcm.parquet").set_index("id")
    grey = glcm.grey(np.asarray(Image.open(folder / "p3.jpg")))
    expected = glcm.score(grey, glcm.Settings(32, 16), properties=True)
    assert rows.loc["p3"].to_dict() == expected
    assert shown["glcm"] == pytest.approx(rows["glcm"].mean(), abs=1e-4)
    assert shown["homogeneity"] == pytest.approx(rows["homogeneity"].mean(), abs=1e-4)


def test_cr(folder, capsys):
    run("cr", folder, "--size", 128)
    shown = numbers(capsys.readouterr().out)
    sizes = np.array([path.stat().st_size for path in folder.iterdir()])
    assert shown["cr"] == pytest.approx(5 * 128 * 128 * 3 / sizes.sum(), abs=1e-4)
    assert shown["cr_mean"] == pytest.approx((128 * 128 * 3 / sizes).mean(), abs=1e-4)


def test_fid(folder, tmp_path, capsys):
    from diffusion4k.metrics import inception

    reference = tmp_path / "reference"
    for i in range(4):
        images.save_png(reference / f"r{i}.png", np.asarray(picture(50 + i, 128, 128)))
    weights = inception_file(tmp_path / "weights.pth")
    flags = ["--weights", weights, "--crop", 64, "--crops", 1, "--device", "cpu"]
    run("fid", folder, reference, *flags)
    shown = numbers(capsys.readouterr().out)
    network = inception.Inception(weights, torch.device("cpu"))
    sets = [
        network([np.asarray(Image.open(path)) for path in sorted(where.iterdir())])
        for where in (reference, folder)
    ]
    assert shown["fid"] == pytest.approx(frechet.fid(*sets), rel=1e-3)
    assert {"kid", "fid_floor", "patch_fid", "patch_kid"} <= set(shown)
    with pytest.raises(UserError, match="its sha256 is not f58cb9b6"):
        run("fid", folder, reference, "--protocol", "clean", *flags)


def test_clip_and_aesthetics(folder, tmp_path, capsys):
    lines = [f'{{"file_name": "p{i}.jpg", "text": "a photograph"}}' for i in range(5)]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    run("clip", folder, "--clip", clip_folder(tmp_path / "clip", 16), "--device", "cpu")
    assert 0 <= numbers(capsys.readouterr().out)["published"] <= 100
    large, head = clip_folder(tmp_path / "large", 768), head_file(tmp_path / "head.pth")
    run("aesthetics", folder, "--clip", large, "--head", head, "--device", "cpu")
    assert np.isfinite(numbers(capsys.readouterr().out)["aesthetics"])
    (folder / "metadata.jsonl").write_text("\n".join(lines[:3]))
    with pytest.raises(UserError, match="has no text for p3, p4"):
        run("clip", folder, "--clip", tmp_path / "clip", "--device", "cpu")


# bad input, each by hand and in the workflow's own scoring


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1500])


def not_an_image(path: Path) -> None:
    path.write_text("an error page that a download left here")


def greyscale(path: Path) -> None:
    Image.open(path).convert("L").save(path)


def of_another_size(path: Path) -> None:
    Image.open(path).resize((96, 128)).save(path)


BAD = [
    (truncated, "p2.jpg: cannot be decoded"),
    (lambda path: path.write_bytes(b""), "p2.jpg: cannot be decoded .zero bytes"),
    (not_an_image, "p2.jpg: cannot be decoded"),
    (greyscale, "p2.jpg: greyscale, where 8-bit RGB is scored"),
    (of_another_size, "p2.jpg: 128x96 px .height x width. where 128x128 is expected"),
]


@pytest.mark.parametrize("metric", ["glcm", "cr"])
@pytest.mark.parametrize(("spoil", "says"), BAD)
def test_bad_files_are_named_with_the_reason(folder, tmp_path, metric, spoil, says):
    spoil(folder / "p2.jpg")
    with pytest.raises(UserError, match=says):
        run(metric, folder, "--size", 128, "--output", tmp_path / "rows.parquet")
    assert not (tmp_path / "rows.parquet").exists()


@pytest.mark.parametrize(("spoil", "says"), BAD)
def test_the_workflow_names_them_too(tmp_path, spoil, says):
    shard = generated(tmp_path, {f"p{i}": (128, 128) for i in range(3)}, height=128, width=128)
    spoil(tmp_path / "images" / "p2.jpg")
    args = texture.parser().parse_args(
        ["--images", str(shard), "--output", str(tmp_path / "t.json")]
    )
    with pytest.raises(UserError, match=says):
        texture.run(args)
    assert not (tmp_path / "t.json").exists()


def write_deep_rgb(path: Path) -> None:
    import cv2

    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 65535, (64, 64, 3), np.uint16))


def write_deep_grey(path: Path) -> None:
    Image.fromarray(np.full((64, 64), 40000, np.uint16)).save(path)


@pytest.mark.parametrize(
    ("write", "says"),
    [(write_deep_rgb, "16 bits a channel"), (write_deep_grey, "more than 8 bits a channel")],
)
def test_16_bit_images_are_refused(tmp_path, write, says):
    write(tmp_path / "deep.png")
    with pytest.raises(UserError, match=f"deep.png: .*{says}"):
        run("glcm", tmp_path)


def test_folders_that_cannot_be_scored(folder, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        run("glcm", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images there"):
        run("glcm", tmp_path / "empty")
    (folder / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match="notes.txt: not an image"):
        run("glcm", folder)
    (folder / "notes.txt").unlink()
    Image.new("RGB", (64, 64)).save(folder / "p9.png")
    with pytest.raises(UserError, match="p9.png: PNG, but the Compression Ratio counts"):
        run("cr", folder)


def test_greyscale_would_be_another_compression_ratio(tmp_path):
    """Why it is refused: the same picture without its two flat channels has fewer bytes."""
    pixels = np.asarray(picture(1, 128, 128).convert("L").convert("RGB"))
    images.save_jpeg(tmp_path / "rgb.jpg", pixels)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.jpg", quality=95)
    sizes = [compression.sizes(tmp_path / f"{name}.jpg")[2] for name in ("rgb", "grey")]
    assert sizes[1] < 0.97 * sizes[0]
    assert inputs.folder(tmp_path)[0].id == "grey"


# no-reference quality: pyiqa lives in an environment of its own


def test_quality_without_pyiqa_is_one_clear_line(tmp_path):
    flags = ["--images", "i", "--musiq", "m", "--maniqa", "n", "--output", str(tmp_path / "q.json")]
    with pytest.raises(UserError, match="run `make env-iqa`"):
        quality_script.run(quality_script.parser().parse_args(flags))


@pytest.fixture
def pyiqa(monkeypatch):
    """Stands in for pyiqa: a network of one layer whose constructor asks timm for a backbone."""
    import sys
    from types import SimpleNamespace

    import timm

    asked = []

    def create_metric(name, *, device, pretrained):
        assert not pretrained
        asked.append(timm.create_model("test_vit", pretrained=True).default_cfg["architecture"])
        metric = torch.nn.Module()
        metric.net = torch.nn.Linear(3, 1)
        metric.forward = lambda x: metric.net(x.mean(dim=(2, 3)))
        return metric.to(device)

    monkeypatch.setitem(sys.modules, "pyiqa", SimpleNamespace(create_metric=create_metric))
    return asked


def test_quality_takes_weights_from_files_alone(pyiqa, tmp_path, monkeypatch):
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("asked the network"))
    network, paths = torch.nn.Linear(3, 1), {}
    for name, wrap in (("musiq", lambda s: s), ("maniqa", lambda s: {"params": s})):
        paths[name] = tmp_path / f"{name}.pth"
        torch.save(wrap(network.state_dict()), paths[name])
    found = quality.Quality(paths, torch.device("cpu"))(picture(0))
    assert found["musiq"] == found["maniqa"]
    mean = torch.from_numpy(np.asarray(picture(0)).mean((0, 1)) / 255).float()
    assert found["musiq"] == pytest.approx(network(mean).item(), rel=1e-5)
    assert pyiqa == ["test_vit", "test_vit"]
    torch.save({"other": torch.zeros(1)}, paths["musiq"])
    with pytest.raises(UserError, match="musiq.pth: not pyiqa's weights of musiq"):
        quality.Quality(paths, torch.device("cpu"))


def test_a_manifests_checksum_is_that_of_the_file(tmp_path):
    from test_clip_scores import source

    path = tmp_path / "net" / "weights.pth"
    path.parent.mkdir()
    path.write_bytes(b"weights")
    found = manifest.read(source(tmp_path / "net", path))
    assert inputs.checksum(found, inputs.weights(found)).startswith("9a129038")
