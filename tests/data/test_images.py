"""Images as they come: every mode becomes 8-bit RGB, or is refused by name and reason."""

import argparse
import io
import struct

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from diffusion4k import images, shape
from diffusion4k.errors import UserError
from tiny_pictures import write_deep

RED = (200, 30, 40)


def saved(tmp_path, image: Image.Image, name: str, **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def load(path, **options):
    return images.load_rgb(path, **{"exif_transpose": True} | options)


@pytest.mark.parametrize(
    ("mode", "name", "value", "expected"),
    [
        ("RGB", "a.png", RED, RED),
        ("L", "a.png", 90, (90, 90, 90)),
        ("1", "a.png", 1, (255, 255, 255)),
        ("CMYK", "a.jpg", (0, 255, 255, 0), (255, 0, 0)),
        ("RGBA", "a.png", (*RED, 255), RED),
        ("RGBA", "a.png", (*RED, 0), (255, 255, 255)),
        ("RGBA", "a.png", (0, 0, 0, 128), (127, 127, 127)),
        ("LA", "a.png", (90, 0), (255, 255, 255)),
        ("RGB", "a.webp", RED, RED),
        ("RGB", "a.tiff", RED, RED),
        ("RGB", "a.bmp", RED, RED),
    ],
)
def test_modes_become_rgb(tmp_path, mode, name, value, expected):
    found = load(saved(tmp_path, Image.new(mode, (20, 10), value), name))
    assert found.mode == "RGB" and found.size == (20, 10)
    assert np.allclose(np.asarray(found), expected, atol=3)


def test_a_palette_keeps_its_colours_and_its_transparency(tmp_path):
    image = Image.new("P", (4, 2), 0)
    image.putpalette([*RED, 10, 200, 30])
    image.putpixel((1, 1), 1)
    found = load(saved(tmp_path, image, "a.png"))
    assert found.getpixel((0, 0)) == RED and found.getpixel((1, 1)) == (10, 200, 30)
    clear = load(saved(tmp_path, image, "b.png", transparency=0))
    assert clear.getpixel((0, 0)) == (255, 255, 255) and clear.getpixel((1, 1)) == (10, 200, 30)


def test_exif_orientation_turns_the_image_where_training_does(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it
    path = saved(tmp_path, Image.new("RGB", (30, 10), RED), "a.jpg", exif=exif)
    assert load(path).size == (10, 30)
    assert load(path, exif_transpose=False).size == (30, 10)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (Image.fromarray(np.full((4, 4), 40000, np.uint16)), "a.png"),
        (Image.fromarray(np.full((4, 4), 0.5, np.float32)), "a.tiff"),
        (Image.fromarray(np.full((4, 4), 70000, np.int32)), "b.tiff"),
    ],
)
def test_more_than_eight_bits_are_refused_and_not_clipped(tmp_path, image, name):
    path = saved(tmp_path, image, name)
    with pytest.raises(UserError, match=rf"{name}: mode .*more than 8 bits a channel"):
        load(path)


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 3), (8, 6, 4)], ids=len)
def test_pictures_that_are_scored_have_eight_bits(tmp_path, name, shape):
    write_deep(tmp_path / name, shape)
    with pytest.raises(UserError, match=rf"{name}: mode .*;16.*, more than 8 bits a channel; conv"):
        images.rgb_sides(tmp_path / name)


def test_tiff_without_compression_is_deep_too(tmp_path):
    import tifffile

    pixels = np.full((8, 6, 3), 40000, np.uint16)
    for order in "<>":
        tifffile.imwrite(tmp_path / "a.tiff", pixels, photometric="rgb", byteorder=order)
        with pytest.raises(UserError, match="a.tiff: mode RGB;16., more than 8 bits"):
            images.rgb_sides(tmp_path / "a.tiff")


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_a_16_bit_photograph_is_read_as_the_released_code_reads_it(tmp_path, name):
    write_deep(tmp_path / name, (8, 6, 3))
    with Image.open(tmp_path / name) as opened:
        expected = np.asarray(opened.convert("RGB"))
    assert np.array_equal(np.asarray(load(tmp_path / name)), expected)


@pytest.mark.parametrize(
    ("mode", "name", "reason"),
    [
        ("1", "a.png", "greyscale"),
        ("L", "a.jpg", "greyscale"),
        ("LA", "a.png", "greyscale"),
        ("CMYK", "a.jpg", "CMYK"),
        ("RGB", "a.jpg", ""),
        ("RGB", "a.webp", ""),
        ("RGBA", "a.png", ""),
        ("P", "a.png", ""),
        ("P", "a.gif", ""),
    ],
)
def test_pictures_that_are_scored_have_colour(tmp_path, mode, name, reason):
    path = saved(tmp_path, Image.new(mode, (4, 6)), name)
    if not reason:
        assert images.rgb_sides(path) == (6, 4)
        return
    with pytest.raises(UserError, match=f"{name}: {reason}; convert it to 8-bit RGB first"):
        images.rgb_sides(path)


def test_sixteen_bits_a_pixel_are_not_a_channel(tmp_path):
    """A BMP of 5, 6 and 5 bits, which Pillow reads and does not write."""
    header = struct.pack("<2sIHHI", b"BM", 14 + 52 + 4, 0, 0, 14 + 52)
    header += struct.pack("<IiiHHIIiiII", 52, 2, 1, 1, 16, 3, 4, 0, 0, 0, 0)
    (tmp_path / "a.bmp").write_bytes(
        header + struct.pack("<III", 0xF800, 0x7E0, 0x1F) + b"\xff" * 4
    )
    assert images.rgb_sides(tmp_path / "a.bmp") == (1, 2)
    assert load(tmp_path / "a.bmp").getpixel((1, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda data: data[: len(data) // 2], "cannot be decoded"),
        (lambda data: b"", "zero bytes"),
        (lambda data: b"<html>429 Too Many Requests</html>", "cannot be decoded"),
        (lambda data: data[:4] + b"\0" * 60, "cannot be decoded"),
    ],
)
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_damage_is_named(tmp_path, harm, reason, name):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), name)
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(UserError, match=rf"{name}: .*{reason}.*fetch it again") as raised:
        load(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (80, 40, (64, 32)),  # landscape
        (40, 80, (32, 64)),  # portrait
        (32, 32, (32, 32)),  # as it is
        (16, 17, (32, 34)),  # enlarged
        (320, 32, (320, 32)),  # panorama
        (33, 100, (32, 96)),  # rounded down, as torchvision does
    ],
)
def test_the_shorter_side_is_resized(width, height, expected):
    image = Image.new("RGB", (width, height), RED)
    assert images.resize_shorter_side(image, 32).size == expected


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (96, 64, (48, 32)),  # of the same shape
        (200, 64, (100, 32)),  # wider: the height decides
        (60, 64, (48, 51)),  # narrower, though no portrait: the width decides
        (30, 90, (48, 144)),  # portrait, enlarged
        (48, 99, (48, 99)),  # as it is
        (99, 32, (99, 32)),
    ],
)
def test_what_is_no_square_is_just_covered(width, height, expected):
    image = Image.new("RGB", (width, height), RED)
    covered = images.resize_shorter_side(image, (32, 48))
    assert covered.size == expected
    assert images.center_crop(covered, (32, 48)).size == (48, 32)
    square = images.resize_shorter_side(image, (32, 32))
    assert square.size == images.resize_shorter_side(image, 32).size


def test_sizes_are_read_as_they_are_written():
    for size, text in ((4096, "4096"), ((3072, 4096), "3072x4096")):
        assert shape.text(size) == text and shape.parse(text) == size
    assert shape.parse("64x64") == 64 and shape.text([64, 64]) == "64"
    assert (shape.height([32, 64]), shape.width([32, 64]), shape.sides(5)) == (32, 64, (5, 5))
    for text in ("0", "-1", "64x", "x", "1x2x3", "6 4", "64x0"):
        with pytest.raises(argparse.ArgumentTypeError, match="PX or HEIGHTxWIDTH"):
            shape.parse(text)


def test_resizing_is_torchvisions(tmp_path):
    from torchvision.transforms import functional

    noise = np.random.default_rng(1).integers(0, 256, (90, 61, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    ours = images.resize_shorter_side(image, 32)
    assert np.array_equal(np.asarray(ours), np.asarray(functional.resize(image, 32)))
    centre = functional.center_crop(ours, [32, 32])
    assert np.array_equal(np.asarray(images.center_crop(ours, 32)), np.asarray(centre))


def test_a_crop_stays_inside():
    with pytest.raises(UserError, match="leaves an image"):
        images.crop(Image.new("RGB", (40, 40)), 10, 0, 32)


def test_what_follows_a_whole_jpeg_is_free(tmp_path):
    """Phones append videos, in which any marker may stand."""
    path = saved(tmp_path, Image.new("RGB", (64, 64)), "a.jpg")
    whole = path.read_bytes()
    path.write_bytes(whole + b"\xff\xda trailer \xff\xda")
    assert images.rgb_sides(path) == (64, 64)
    path.write_bytes(whole.removesuffix(b"\xff\xd9") + bytes(99))
    with pytest.raises(UserError, match="truncated"):
        images.rgb_sides(path)


def test_a_photograph_that_ends_in_zeros_is_not_taken_for_flat_picture(tmp_path):
    path = saved(tmp_path, Image.effect_noise((64, 64), 40).convert("RGB"), "a.jpg")
    whole = path.read_bytes()
    pixels = load(path).tobytes()
    path.write_bytes(whole + bytes(99))
    assert load(path).tobytes() == pixels
    path.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    with pytest.raises(UserError, match=r"a.jpg: .*truncated: no end marker.*fetch it again"):
        load(path)


@pytest.mark.parametrize("form", ["TIFF", "JPEG", "WEBP"])
def test_a_damaged_header_is_never_a_traceback(tmp_path, form):
    """Pillow raises TypeError and struct.error, too, from what a flipped byte makes of a tag."""
    exif = Image.Exif()
    exif[274], exif[305] = 6, "abc"
    buffer = io.BytesIO()
    Image.effect_noise((32, 32), 40).convert("RGB").save(buffer, form, exif=exif)
    whole, path, random = buffer.getvalue(), tmp_path / f"a.{form}", np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        data = bytearray(whole)
        for at in random.integers(0, min(len(data), 400), random.integers(1, 5)):
            data[at] = random.integers(256)
        path.write_bytes(data)
        for look in (load, images.rgb_sides, images.sides):
            try:
                look(path)
            except UserError as error:
                refused += path.name in str(error)
    assert refused > 30


def test_a_tiff_of_fewer_strips_than_it_says_is_no_black_picture(tmp_path):
    path = tmp_path / "a.tif"
    Image.effect_noise((64, 96), 40).convert("RGB").save(path, tiffinfo={278: 16})  # rows a strip
    assert load(path).size == (64, 96)
    rows = struct.pack("<HHII", 257, 4, 1, 96)
    path.write_bytes(path.read_bytes().replace(rows, rows[:8] + struct.pack("<I", 960)))
    for look in (load, images.rgb_sides):
        with pytest.raises(UserError, match="a.tif: .*truncated: 6144 of 64 x 960 pixels"):
            look(path)


def test_what_is_not_rgb_is_no_picture_to_score(tmp_path):
    path = tmp_path / "a.tif"
    Image.new("LAB", (8, 8)).save(path)
    with pytest.raises(UserError, match="a.tif: LAB; convert it to 8-bit RGB"):
        images.rgb_sides(path)


@pytest.mark.parametrize("megabytes", [2, 80])
def test_a_png_with_much_text_or_a_large_profile_is_decoded_or_named_for_what_it_is(
    tmp_path, megabytes
):
    """As ComfyUI and A1111 save them: the whole workflow in the picture."""
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "node" * (megabytes * 2**18), zip=True)
    picture = Image.effect_noise((32, 32), 40).convert("RGB")
    picture.save(tmp_path / "text.png", pnginfo=text)
    picture.save(tmp_path / "profile.png", icc_profile=bytes(megabytes * 2**20))
    for name in ("text.png", "profile.png"):
        if megabytes == 2:
            assert load(tmp_path / name).tobytes() == picture.tobytes()
        else:
            with pytest.raises(UserError, match=f"{name}: .*more than 64 MiB.*save it without"):
                load(tmp_path / name)
