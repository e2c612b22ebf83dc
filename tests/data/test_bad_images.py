"""What bad input is called, by hand and in the workflow's own scoring."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import score as script
import texture
from diffusion4k import images
from diffusion4k.errors import UserError
from diffusion4k.metrics import compression, inputs
from tiny_pictures import generated, of_another_size, picture, relist, write_deep, write_folder


def run(*flags: object) -> None:
    script.run(script.parser().parse_args([str(flag) for flag in flags]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "images")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1500])


def zeros_at_its_end(path: Path) -> None:
    """As a file system that lost a node leaves a file: the length is right, half is not there."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))


def not_an_image(path: Path) -> None:
    path.write_text("an error page that a download left here")


def greyscale(path: Path) -> None:
    Image.open(path).convert("L").save(path)


def greyscale_with_alpha(path: Path) -> None:
    Image.open(path).convert("LA").save(path, format="PNG")


def two_frames(path: Path) -> None:
    frame = Image.open(path).convert("RGB")
    frame.save(path, format="TIFF", save_all=True, append_images=[frame])


def cmyk(path: Path) -> None:
    Image.open(path).convert("CMYK").save(path)


BAD = [
    (truncated, "p2.jpg: cannot be decoded .truncated: no end marker.; fetch it again"),
    (zeros_at_its_end, "p2.jpg: cannot be decoded .truncated: no end marker"),
    (lambda path: path.write_bytes(b""), "p2.jpg: cannot be decoded .zero bytes"),
    (not_an_image, "p2.jpg: cannot be decoded"),
    (greyscale, "p2.jpg: greyscale; convert it to 8-bit RGB"),
    (greyscale_with_alpha, "p2.jpg: greyscale; convert it to 8-bit RGB"),
    (two_frames, "p2.jpg: 2 frames, not one picture"),
    (cmyk, "p2.jpg: CMYK; convert it to 8-bit RGB"),
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
    relist(shard)
    args = texture.parser().parse_args(
        ["--images", str(shard), "--output", str(tmp_path / "t.json")]
    )
    with pytest.raises(UserError, match=says):
        texture.run(args)
    assert not (tmp_path / "t.json").exists()


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 3), (64, 64, 4)], ids=len)
def test_16_bit_images_are_refused(tmp_path, shape):
    write_deep(tmp_path / "deep.png", shape)
    with pytest.raises(UserError, match="deep.png: .* more than 8 bits a channel; convert it"):
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
    (folder / "more").mkdir()
    with pytest.raises(UserError, match="more: a folder, not an image"):
        run("glcm", folder)
    (folder / "more").rmdir()
    Image.new("RGB", (64, 64)).save(folder / "p9.png")
    with pytest.raises(UserError, match="p9.png: PNG, but the Compression Ratio counts"):
        run("cr", folder)


def test_no_set_becomes_a_smaller_or_a_larger_one(folder):
    for i in (6, 7):
        (folder / f"p{i}.jpg").symlink_to(folder / "gone.jpg")
    with pytest.raises(UserError, match="images: links to nothing: p6.jpg, p7.jpg;"):
        run("glcm", folder)
    for i in (6, 7):
        (folder / f"p{i}.jpg").unlink()
    (folder / "p6.jpg").symlink_to(folder / "p1.jpg")
    assert [p.id for p in inputs.folder(folder)] == [f"p{i}" for i in (0, 1, 2, 3, 4, 6)]
    Image.open(folder / "p2.jpg").save(folder / "p2.png")
    with pytest.raises(UserError, match="images: p2.jpg and p2.png: one id"):
        run("glcm", folder)


def test_greyscale_would_be_another_compression_ratio(tmp_path):
    """Why it is refused: the same picture without its two flat channels has fewer bytes."""
    pixels = np.asarray(picture(1, 128, 128).convert("L").convert("RGB"))
    images.save_jpeg(tmp_path / "rgb.jpg", pixels)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.jpg", quality=95)
    sizes = [compression.sizes(tmp_path / f"{name}.jpg")[2] for name in ("rgb", "grey")]
    assert sizes[1] < 0.97 * sizes[0]
    assert inputs.folder(tmp_path)[0].id == "grey"


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("order", "<>")
def test_tiff_in_planes_is_read_right_or_refused(tmp_path, compression, channels, order):
    """Pillow takes 16-bit planes for 8-bit ones unless libtiff decodes them."""
    import tifffile

    path, across = tmp_path / "a.tiff", np.arange(8, dtype=np.uint8) * 30
    eight = np.stack([np.tile(across, (8, 1)) + n for n in range(3)] + [np.full((8, 8), 255)])
    eight = eight[:channels].astype(np.uint8)
    more = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    layout = {"photometric": "rgb", "planarconfig": "separate", "compression": compression} | more
    tifffile.imwrite(path, eight, **layout, byteorder=order)
    assert images.rgb_sides(path) == (8, 8)
    assert np.array_equal(
        np.asarray(images.load_rgb(path, exif_transpose=True)), np.moveaxis(eight[:3], 0, -1)
    )
    tifffile.imwrite(path, eight.astype(np.uint16) * 257, **layout, byteorder=order)
    with pytest.raises(UserError, match="more than 8 bits"):
        images.rgb_sides(path)
    try:
        assert np.array_equal(
            np.asarray(images.load_rgb(path, exif_transpose=True)), np.moveaxis(eight[:3], 0, -1)
        )
    except UserError as error:
        assert "more than 8 bits a channel, each channel in a plane" in str(error)
