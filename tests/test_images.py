"""Images as they come: every mode becomes 8-bit RGB, or is refused by name and reason."""

import numpy as np
import pytest
from PIL import Image

from diffusion4k import images
from diffusion4k.errors import UserError

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
