"""Scoring a folder by hand."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

import score as script
from diffusion4k import images
from diffusion4k.errors import UserError
from diffusion4k.files import sha256
from diffusion4k.metrics import frechet, glcm, inception, inputs
from tiny_metrics import clip_folder, head_file, inception_file
from tiny_pictures import of_another_size, picture, write_folder


def run(*flags: object) -> None:
    script.run(script.parser().parse_args([str(flag) for flag in flags]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "images")


def numbers(text: str) -> dict[str, float]:
    """The table that is printed, without its head and notes."""
    rows = [line.split() for line in text.splitlines() if not line.startswith(("metric ", "note"))]
    return {name: float(value) for name, value, *_ in rows}


def test_glcm(folder, tmp_path, capsys):
    flags = ["glcm", folder, "--patch", 32, "--levels", 16]
    run(*flags, "--properties", "--output", tmp_path / "glcm.parquet")
    shown = numbers(capsys.readouterr().out)
    rows = pd.read_parquet(tmp_path / "glcm.parquet").set_index("id")
    grey = glcm.grey(np.asarray(Image.open(folder / "p3.jpg")))
    expected = glcm.score(grey, glcm.Matrices(32, 16), properties=True)
    assert rows.loc["p3"].to_dict() == expected
    assert shown["glcm"] == pytest.approx(rows["glcm"].mean(), abs=1e-4)
    assert shown["homogeneity"] == pytest.approx(rows["homogeneity"].mean(), abs=1e-4)
    run(*flags)
    plain = numbers(capsys.readouterr().out)
    assert plain == {name: shown[name] for name in ("glcm", "glcm_entropy")}


def test_cr(folder, capsys):
    run("cr", folder, "--size", 128)
    shown = numbers(capsys.readouterr().out)
    sizes = np.array([path.stat().st_size for path in folder.iterdir()])
    assert shown["cr"] == pytest.approx(5 * 128 * 128 * 3 / sizes.sum(), abs=1e-4)
    assert shown["cr_mean"] == pytest.approx((128 * 128 * 3 / sizes).mean(), abs=1e-4)


def test_cr_says_which_jpegs_are_not_encoded_as_generated_ones(folder, capsys):
    run("cr", folder)
    assert "note" not in capsys.readouterr().out
    with (folder / "p0.jpg").open("ab") as handle:
        handle.write(b"a trailer")
    for name, options in (("p1", {"quality": 80}), ("p3", {"progressive": True})):
        options = images.JPEG | options
        Image.open(folder / f"{name}.jpg").save(folder / f"{name}.jpg", **options)
    run("cr", folder)
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert len(notes) == 3 and all("Compression Ratio does not compare" in n for n in notes)
    assert "1 pictures are JPEG of other length (bytes follow the picture)" in notes[0]
    assert "1 pictures are JPEG of other progressive, Huffman tables" in notes[1]
    assert "1 pictures are JPEG of other quality" in notes[2]


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory) -> Path:
    return inception_file(tmp_path_factory.mktemp("inception") / "weights.pth")


def fid_flags(weights: Path) -> list[object]:
    flags = ["--weights", weights, "--sha256", sha256(weights)[:8], "--device", "cpu"]
    return [*flags, "--crop", 64, "--crops", 1]


def test_fid(folder, tmp_path, inception_weights, capsys):
    reference = tmp_path / "reference"
    for i in range(4):
        images.save_png(reference / f"r{i}.png", np.asarray(picture(50 + i, 128, 128)))
    run("fid", folder, reference, *fid_flags(inception_weights))
    out = capsys.readouterr().out
    network = inception.Inception(inception_weights, torch.device("cpu"))
    sets = [
        network([np.asarray(Image.open(path)) for path in sorted(where.iterdir())])
        for where in (reference, folder)
    ]
    shown = numbers(out)
    assert shown["fid"] == pytest.approx(frechet.fid(*sets), rel=1e-3)
    assert {"kid", "fid_floor", "patch_fid", "patch_kid"} <= set(shown)
    assert next(line for line in out.splitlines() if line.startswith("fid ")).endswith(
        "5 against 4"
    )


def test_images_are_pairs_by_name_whatever_their_formats(tmp_path, inception_weights, capsys):
    """p0.jpg comes before p0.k.jpg, and p0.png after p0.k.png."""
    values = []
    for suffix in ("png", "jpg"):
        drawn, reference = tmp_path / suffix / "drawn", tmp_path / suffix / "reference"
        drawn.mkdir(parents=True)
        for i, name in enumerate(("p0", "p0.k", "p1")):
            images.save_png(drawn / f"{name}.png", np.asarray(picture(i, 64, 64)))
            images.save_png(reference / f"{name}.png", np.asarray(picture(50 + i, 64, 64)))
            if suffix == "jpg":  # a PNG's bytes, read by what they are
                (reference / f"{name}.png").rename(reference / f"{name}.jpg")
        run("fid", drawn, reference, *fid_flags(inception_weights))
        values.append(numbers(capsys.readouterr().out))
    assert values[0] == values[1]


def test_fid_prepares_photographs_as_the_workflow_does(folder, tmp_path, inception_weights):
    reference = tmp_path / "reference"
    exif = Image.Exif()
    exif[0x0112] = 6  # the released FID does not turn it
    reference.mkdir()
    for i in range(2):
        picture(50 + i, 160, 480).save(reference / f"r{i}.jpg", exif=exif, quality=95)
    picture(60, 200, 150).convert("L").save(reference / "grey.jpg")
    flags = ["fid", folder, reference, *fid_flags(inception_weights)]
    run(*flags, "--size", 128, "--output", tmp_path / "rows.parquet")
    rows = pd.read_parquet(tmp_path / "rows.parquet")
    rows = rows[rows["set"] == str(reference)].set_index("id")["features"]
    assert sorted(rows.index) == ["grey", "r0", "r1"]
    network = inception.Inception(inception_weights, torch.device("cpu"))
    for path in reference.iterdir():
        expected, turned = (
            network([np.asarray(inputs.photograph(path, 128, upright=upright))])[0]
            for upright in (False, True)
        )
        assert np.array_equal(rows[path.stem], expected)
        assert path.stem == "grey" or not np.array_equal(expected, turned)
    with pytest.raises(UserError, match=r"grey.jpg: 200x150 px .*128x128: give --size"):
        run(*flags)
    of_another_size(folder / "p2.jpg")
    with pytest.raises(UserError, match="p2.jpg: 128x96 px .* 128x128 is expected"):
        run(*flags, "--size", 128)


def test_headers_are_checked_before_anything_is_scored(folder, monkeypatch):
    monkeypatch.setattr(images, "load_rgb", lambda *_, **__: pytest.fail("decoded"))
    of_another_size(folder / "p4.jpg")
    fid = ["fid", folder, folder, "--weights", folder / "p0.jpg", "--crop", 64]
    for flags in (["glcm", folder, "--size", 128], fid):
        with pytest.raises(UserError, match="p4.jpg: 128x96 px .* where 128x128 is expected"):
            run(*flags)


def test_fid_takes_no_other_weights_unasked(folder, tmp_path, inception_weights):
    flags = ["fid", folder, folder, "--crop", 64, "--weights"]
    for protocol, digest in script.INCEPTION.items():
        with pytest.raises(UserError, match=f"its sha256 is .*, not {digest}; give the weights"):
            run(*flags, inception_weights, "--protocol", protocol)
    with pytest.raises(UserError, match="its sha256 is .*, not 01234567;"):
        run(*flags, inception_weights, "--sha256", "01234567")
    with pytest.raises(UserError, match="--sha256 : needs 8 to 64 digits"):
        run(*flags, inception_weights, "--sha256", "")


def test_fid_needs_the_weights_and_nothing_else(
    folder, tmp_path, inception_weights, capsys, monkeypatch
):
    with pytest.raises(UserError, match="of no protocol of FID .published, clean.; --sha256 "):
        run("fid", folder, folder, "--weights", inception_weights)
    digest = hashlib.sha256(Path(inception_weights).read_bytes()).hexdigest()
    monkeypatch.setitem(script.INCEPTION, "published", digest[:8])
    run("fid", folder, folder, "--weights", inception_weights)
    out = capsys.readouterr().out
    assert "no patch FID of images of 128 px, less than a crop of 299: --crop" in out
    assert "fid" in numbers(out) and "patch_fid" not in numbers(out)
    run("fid", folder, folder, "--weights", inception_weights, "--crops", 0)
    out = capsys.readouterr().out
    assert "note: no patch" not in out and "patch_fid" not in numbers(out)


def test_the_checksums_are_those_of_the_configuration():
    path = Path(__file__).resolve().parents[2] / "config" / "config.yaml"
    sources = yaml.safe_load(path.read_text(encoding="utf-8"))["sources"]
    pinned = [sources[name]["sha256"] for name in ("inception", "inception_clean")]
    assert list(script.INCEPTION.values()) == pinned


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("cr {0} --size 64x128", "p0.jpg: 128x128 px .* where 64x128 is expected"),
        ("fid {0} {0} --weights {0}/p0.jpg --crop 299", "--crop 299: more than the 128x128 px of"),
        ("fid {0} {0} --weights /nonexistent", "--weights /nonexistent: no such file"),
        ("aesthetics {0} --clip x --head /nonexistent", "--head /nonexistent: no such file"),
        ("glcm {0} --output {0}", "--output .*: rows are written as parquet; name a .parquet"),
        ("glcm {0} --output {0}/rows.parquet", "--output .*: among the images"),
        ("glcm {0} --output /proc/no/rows.parquet", "--output .*: cannot be written"),
        ("glcm {0} --patch 256", "p0.jpg, p1.jpg, .*: no patch of 256 px fits; lower --patch"),
        ("glcm {0} --distances 1 64", "needs 0 < distances < patch"),
    ],
)
def test_flags_that_make_no_sense_are_one_line(folder, flags, says):
    with pytest.raises(UserError, match=says) as raised:
        run(*flags.format(folder).split())
    assert "\n" not in str(raised.value)


def test_clip_and_aesthetics(folder, tmp_path, capsys):
    lines = [f'{{"file_name": "p{i}.jpg", "text": "a photograph"}}' for i in range(5)]
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    run("clip", folder, "--clip", clip_folder(tmp_path / "clip", 512), "--device", "cpu")
    assert 0 <= numbers(capsys.readouterr().out)["published"] <= 100
    large, head = clip_folder(tmp_path / "large", 768), head_file(tmp_path / "head.pth")
    run("aesthetics", folder, "--clip", large, "--head", head, "--device", "cpu")
    assert np.isfinite(numbers(capsys.readouterr().out)["aesthetics"])
    (folder / "metadata.jsonl").write_text("\n".join(lines[:3]))
    with pytest.raises(UserError, match="has no text for p3, p4"):
        run("clip", folder, "--clip", tmp_path / "clip", "--device", "cpu")
    more = [f'{{"file_name": "q{i:02}.jpg", "text": "a photograph"}}' for i in range(12)]
    (folder / "metadata.jsonl").write_text("\n".join(lines + more))
    with pytest.raises(UserError, match="no image for q00, .*, q09 and 2 more of .*metadata.jsonl"):
        run("clip", folder, "--clip", tmp_path / "clip", "--device", "cpu")


def test_weights_that_give_nan_give_no_score(folder, tmp_path, capsys):
    state = torch.load(head_file(tmp_path / "head.pth"), weights_only=True)
    torch.save({name: value * float("nan") for name, value in state.items()}, tmp_path / "nan.pth")
    flags = ["--clip", clip_folder(tmp_path / "large", 768), "--device", "cpu"]
    flags += ["--head", tmp_path / "nan.pth", "--output", tmp_path / "rows.parquet"]
    with pytest.raises(UserError, match="p0: aesthetics is no number"):
        run("aesthetics", folder, *flags)
    assert "aesthetics" not in capsys.readouterr().out
    assert not (tmp_path / "rows.parquet").exists()


def test_one_image_has_no_frechet_distance(folder, tmp_path):
    images.save_jpeg(tmp_path / "one" / "p0.jpg", np.asarray(picture(0, 128, 128)))
    flags = ["--weights", folder / "p0.jpg", "--crop", 32]
    with pytest.raises(UserError, match="one: 1 image; a Fréchet distance needs 2 at least"):
        run("fid", folder, tmp_path / "one", *flags)
