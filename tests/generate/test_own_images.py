"""Pictures that somebody brings: matched, checked, listed by reason, taken as if generated."""

import io
import json

import numpy as np
import pytest
from PIL import Image

import import_images as adopt
import texture
import tiny
from diffusion4k import images, manifest
from diffusion4k.data import jpeg
from diffusion4k.errors import UserError
from tiny_pictures import write_deep

SIZE = 128


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    tiny.save_dataset(root, count=3, folder="eval")
    return root / "data.json"


@pytest.fixture
def folder(tmp_path):
    """A sound set: one JPEG as generation writes it, one of another encoding, one PNG."""
    folder = tmp_path / "mine"
    folder.mkdir()
    images.save_jpeg(folder / "photo_0.jpg", pixels(0))
    Image.fromarray(pixels(1)).save(folder / "photo_1.JPEG", quality=80, progressive=True)
    images.save_png(folder / "photo_2.png", pixels(2))
    (folder / "notes.txt").write_text("not a picture")
    images.save_png(folder / "photo_99.png", pixels(3))  # of another set of prompts
    return folder


def pixels(seed, size=SIZE):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def take(data, folder, root, *more, shards=2):
    outputs = [root / f"shard-{i}-of-{shards}.json" for i in range(shards)]
    flags = ["--images", folder, "--dataset", data, "--folder", "eval", "--size", SIZE]
    adopt.run(adopt.parser().parse_args([*map(str, flags), *more, "--output", *map(str, outputs)]))
    return [manifest.read(output) for output in outputs]


def fault(data, folder, root):
    with pytest.raises(UserError) as raised:
        take(data, folder, root)
    assert "\n" not in str(raised.value)
    assert not list(root.glob("*.json"))
    return str(raised.value), (root / "wrong.txt").read_text().splitlines()


def test_a_sound_folder_becomes_shards_like_generated_ones(data, folder, tmp_path):
    root = tmp_path / "out"
    records = take(data, folder, root)
    names = [[file.name for file in record.files] for record in records]
    assert names == [["images/photo_0.jpg"], ["images/photo_1.jpg", "images/photo_2.jpg"]]
    for name, brought in (("photo_0", "photo_0.jpg"), ("photo_1", "photo_1.JPEG")):
        assert (root / f"images/{name}.jpg").read_bytes() == (folder / brought).read_bytes()
    images.save_jpeg(tmp_path / "expected.jpg", pixels(2))
    encoded = root / "images" / "photo_2.jpg"
    assert encoded.read_bytes() == (tmp_path / "expected.jpg").read_bytes()
    assert records[0].notes == records[1].notes == [
        f"{folder}: 1 pictures are JPEG of other quality, progressive, Huffman tables; their"
        " Compression Ratio does not compare with that of quality 95, 4:2:0",
        f"{folder}: 1 pictures are PNG; encoded here as JPEG of quality 95, 4:2:0",
    ]  # fmt: skip
    assert all(manifest.verify(record) == [] for record in records)


def test_what_was_no_jpeg_is_kept_without_loss_where_asked_for(data, folder, tmp_path):
    root = tmp_path / "out"
    [record] = take(data, folder, root, "--png", shards=1)
    names = [file.name for file in record.files]
    assert sorted(names) == [*(f"images/photo_{i}.jpg" for i in range(3)), "lossless/photo_2.png"]
    kept = np.asarray(Image.open(root / "lossless" / "photo_2.png"))
    assert (kept == pixels(2)).all()
    [record] = take(data, folder, root, shards=1)
    assert not (root / "lossless" / "photo_2.png").exists() and len(record.files) == 3


def test_pictures_need_not_be_square(data, tmp_path):
    folder = tmp_path / "wide"
    folder.mkdir()
    for i in range(3):
        images.save_jpeg(folder / f"photo_{i}.jpg", pixels(i)[:96])
    [record] = take(data, folder, tmp_path / "out", "--size", "96x128", shards=1)
    assert (record.settings["height"], record.settings["width"]) == (96, 128)
    with pytest.raises(UserError, match="photo_0: 128 x 96 px, not 128 x 128"):
        take(data, folder, tmp_path / "square", shards=1)


def test_pictures_are_not_written_among_those_of_the_user(data, folder, tmp_path):
    own = folder.rename(tmp_path / "images")
    before = {path.name: path.read_bytes() for path in own.iterdir()}
    with pytest.raises(UserError, match="would be written among yours, into .*images; choose"):
        take(data, own, tmp_path)
    assert {path.name: path.read_bytes() for path in own.iterdir()} == before


def test_metrics_take_it_unchanged(data, folder, tmp_path):
    records = take(data, folder, tmp_path / "out", shards=1)
    output = tmp_path / "texture.json"
    flags = ["--images", str(records[0].path), "--output", str(output)]
    texture.run(texture.parser().parse_args(flags))
    assert manifest.read(output).results["n"] == 3


def test_editing_the_original_leaves_what_was_taken(data, folder, tmp_path):
    [record] = take(data, folder, tmp_path / "out", shards=1)
    for brought in ("photo_0.jpg", "photo_1.JPEG", "photo_2.png"):
        with (folder / brought).open("r+b") as file:
            file.write(b"edited in place")
    assert manifest.verify(record) == []


def save_16_bit(path):
    write_deep(path, (SIZE, SIZE))


def save_16_bit_rgb(path):
    write_deep(path, (SIZE, SIZE, 3))


def save_16_bit_rgba(path):
    write_deep(path, (SIZE, SIZE, 4))


def move_to_16_bit_tiff(path):
    path.unlink()
    write_deep(path.with_suffix(".tiff"), (SIZE, SIZE, 3))


def save_cmyk(path):
    Image.new("CMYK", (SIZE, SIZE)).save(path, format="JPEG")


@pytest.mark.parametrize(
    ("name", "spoil", "reason"),
    [
        ("photo_0.jpg", lambda p: p.unlink(), "photo_0: missing"),
        ("photo_0.jpg", lambda p: p.write_bytes(p.read_bytes()[:-400]), "truncated"),
        ("photo_0.jpg", lambda p: p.rename(p.with_suffix(".gif")), "photo_0.gif is of no format"),
        ("photo_0.jpg", lambda p: p.rename(p.with_name("Photo_0.jpg")), "Photo_0.jpg is spelt"),
        ("photo_0.jpg", lambda p: p.write_bytes(b""), "zero bytes"),
        ("photo_0.jpg", lambda p: p.write_bytes(b"hello"), "photo_0: cannot be decoded"),
        ("photo_0.jpg", save_cmyk, "photo_0: CMYK; convert it to 8-bit RGB first"),
        ("photo_2.png", save_16_bit, "photo_2: mode I;16B, more than 8 bits"),
        ("photo_2.png", save_16_bit_rgb, "photo_2: mode RGB;16B, more than 8 bits"),
        ("photo_2.png", save_16_bit_rgba, "photo_2: mode RGBA;16B, more than 8 bits"),
        ("photo_2.png", move_to_16_bit_tiff, "photo_2: mode RGB;16N, more than 8 bits"),
        ("photo_2.png", lambda p: Image.new("L", (SIZE, SIZE)).save(p), "photo_2: greyscale"),
        ("photo_2.png", lambda p: images.save_png(p, pixels(0, 64)), "64 x 64 px, not 128 x 128"),
        ("photo_0.png", lambda p: images.save_png(p, pixels(0)), "photo_0.jpg and photo_0.png"),
    ],
)
def test_what_is_wrong_is_named_with_the_reason(data, folder, tmp_path, name, spoil, reason):
    spoil(folder / name)
    message, listed = fault(data, folder, tmp_path / "out")
    assert "1 of 3 pictures" in message and reason in message
    assert len(listed) == 1 and reason in listed[0]


def test_all_that_is_wrong_is_in_the_list_and_the_first_ones_on_the_line(tmp_path):
    names = [f"prompt_{i:02}" for i in range(14)]
    where = tmp_path / "data" / "eval"
    where.mkdir(parents=True)
    lines = [json.dumps({"file_name": f"{name}.png", "text": name}) for name in names]
    (where / "metadata.jsonl").write_text("\n".join(lines))
    data = tiny.save_manifest(tmp_path / "data.json", tmp_path / "data")
    (tmp_path / "mine").mkdir()
    images.save_png(tmp_path / "mine" / "prompt_03.png", pixels(0, 96))
    root = tmp_path / "out"
    message, listed = fault(data, tmp_path / "mine", root)
    assert "14 of 14" in message and message.count(": missing") == 10 and "and 4 more" in message
    assert len(listed) == 14 and any("prompt_03: 96 x 96" in line for line in listed)
    for name in names:
        images.save_jpeg(tmp_path / "mine" / f"{name}.jpg", pixels(1))
    (tmp_path / "mine" / "prompt_03.png").unlink()
    take(data, tmp_path / "mine", root)
    assert not (root / "wrong.txt").exists()


@pytest.mark.parametrize(
    ("options", "differences"),
    [
        ({}, []),
        ({"quality": 94}, ["quality"]),
        ({"subsampling": 0}, ["subsampling"]),
        ({"optimize": True}, ["Huffman tables"]),
        ({"progressive": True}, ["progressive", "Huffman tables"]),
        ({"icc_profile": b"x" * 500}, ["metadata"]),
    ],
)
def test_what_makes_a_jpegs_bytes_another_metric_is_seen(tmp_path, options, differences):
    path, buffer = tmp_path / "a.jpg", io.BytesIO()
    Image.fromarray(pixels(0)).save(path, **images.JPEG | options)
    Image.fromarray(pixels(0)).save(buffer, **images.JPEG)
    assert jpeg.differences(path) == differences
    assert (len(buffer.getvalue()) == path.stat().st_size) == (not differences)
