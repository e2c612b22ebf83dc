"""Images in and out, with Pillow: the one decoder, resizer, cropper and encoder of every stage."""

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin
from PIL.TiffImagePlugin import BITSPERSAMPLE

from diffusion4k import shape
from diffusion4k.errors import UserError
from diffusion4k.files import atomic

# What the Compression Ratio counts. The options are pinned because each changes the bytes:
# optimised or progressive files, other subsampling or embedded metadata would be another metric.
JPEG = {
    "format": "JPEG",
    "quality": 95,
    "subsampling": 2,
    "optimize": False,
    "progressive": False,
}

# Where generation keeps lossless pictures, beside images/ with their JPEGs.
LOSSLESS = "lossless"

# What counts as an image in a folder.
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}

# Of TIFF; Pillow takes such a file for one of 8 bits when it is not compressed.
PLANES = "more than 8 bits a channel, each channel in a plane of its own"

# Photographs of 100 megapixels and more are this project's business, not an attack.
Image.MAX_IMAGE_PIXELS = 1_000_000_000
# So are PNG with a workflow as text, or a large colour profile: bytes of one, and of all, unpacked.
PngImagePlugin.MAX_TEXT_CHUNK = 64 * 2**20
PngImagePlugin.MAX_TEXT_MEMORY = 256 * 2**20


def pictures(paths: Iterable[Path]) -> list[Path]:
    """The images among a generation's files, without the lossless copies of the same pictures."""
    return [p for p in paths if p.suffix.lower() in SUFFIXES and p.parent.name != LOSSLESS]


def load_rgb(path: str | Path, *, exif_transpose: bool) -> Image.Image:
    """Decode the whole file as 8-bit RGB; `exif_transpose` turns it upright as training does.

    Palette, grey and CMYK images are converted, alpha is composited on white, and of 16-bit colour
    the upper 8 bits count, as wherever the released code reads a photograph; see `rgb_sides` for
    pictures that are scored. Raises UserError, naming the file and the reason, for one that is
    empty, truncated, no image, 16-bit grey (Pillow would clip its values, not scale them), or a
    TIFF of 16-bit planes that Pillow would read as noise.
    """
    with _opening(path) as opened:
        _check_whole(opened, path)
        unlike = _unlike_rgb(opened)  # load() forgets the depth
        opened.load()
        image = ImageOps.exif_transpose(opened) if exif_transpose else opened.copy()
    if image.mode.startswith(("I", "F")) or unlike == PLANES:
        raise UserError(f"{path}: {unlike}; convert it to 8-bit RGB first")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def sides(path: str | Path) -> tuple[int, int]:
    """(height, width) as a file's header says, not transposed; UserError when it is no image."""
    with _opening(path) as opened:
        return opened.height, opened.width


def rgb_sides(path: str | Path) -> tuple[int, int]:
    """`sides` of a picture to score; UserError with the reason when it is not one in 8-bit RGB."""
    with _opening(path) as opened:
        if unlike := _unlike_rgb(opened):
            raise UserError(f"{path}: {unlike}; convert it to 8-bit RGB first")
        _check_whole(opened, path)
        if (frames := getattr(opened, "n_frames", 1)) > 1:
            raise UserError(f"{path}: {frames} frames, not one picture; keep the one to score")
        return opened.height, opened.width


def _check_whole(opened: Image.Image, path: str | Path) -> None:
    """ValueError for a JPEG without an end marker after the start of its first scan, and for a
    TIFF whose strips do not cover it, which Pillow would fill up with black.

    A file system that lost a node may leave a file of the right length that ends in zeros: its
    decoder, which refuses a shorter file, takes them for flat picture and says nothing. What comes
    after the marker is free.
    """
    if opened.format == "TIFF":
        held = {tile.extents for tile in opened.tile}  # of each plane the same
        area = sum((right - left) * (lower - upper) for left, upper, right, lower in held)
        if area < opened.width * opened.height:
            raise ValueError(f"truncated: {area} of {opened.width} x {opened.height} pixels")
    if opened.format not in ("JPEG", "MPO"):
        return
    jpeg, at = Path(path).read_bytes(), 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] != 0xDA:
        at += 1 if jpeg[at + 1] == 0xFF else 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    if jpeg.find(b"\xff\xd9", at) < 0:
        raise ValueError("truncated: no end marker")


# what Pillow's decoders raise, by format and by what is broken: pixels, tags, lengths
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, struct.error)


@contextmanager
def _opening(path: str | Path) -> Iterator[Image.Image]:
    """Open an image; what goes wrong until the block ends becomes a UserError."""
    try:
        with Image.open(path) as opened:
            yield opened
    except FileNotFoundError:
        raise UserError(f"{path}: no such image") from None
    except (*_DAMAGE, Image.DecompressionBombError) as error:
        reason = "zero bytes" if Path(path).stat().st_size == 0 else str(error)
        advice = "fetch it again"
        if "MAX_TEXT" in reason:
            reason = "more than 64 MiB of text or of a colour profile in it, or 256 MiB in all"
            advice = "save it without them"
        elif isinstance(error, Image.DecompressionBombError):
            advice = "make it smaller"
        raise UserError(f"{path}: cannot be decoded ({reason}); {advice}") from None


def _unlike_rgb(opened: Image.Image) -> str:
    """What a file that is opened but not decoded has instead of 8-bit colour; "" if it has that.

    Pillow opens 16-bit RGB and RGBA as if they had 8 bits: only a tile's raw mode (`RGB;16B`) says
    so. `BGR;16` is no such mode but 16 bits a pixel, in BMP.
    """
    args = [tile.args for tile in opened.tile]
    modes = [a[0] if isinstance(a, tuple) and a else a for a in args]  # of a GIF, a number of bits
    deep = [m for m in modes if isinstance(m, str) and ";16" in m and not m.startswith("BGR")]
    if deep or opened.mode.startswith(("I", "F")):
        return f"mode {(deep or [opened.mode])[0]}, more than 8 bits a channel"
    if max(getattr(opened, "tag_v2", {}).get(BITSPERSAMPLE, (8,))) > 8:
        return PLANES
    if opened.mode in ("1", "L", "LA"):
        return "greyscale"
    return "" if opened.mode in ("RGB", "RGBA", "P", "PA") else opened.mode


def resize_shorter_side(image: Image.Image, size: shape.Size) -> Image.Image:
    """Bilinear (antialiased) resize so that the shorter side is `size` px; upsamples too.

    For a (height, width) that is no square: so that the image just covers it, which is the same.
    """
    (rows, columns), (width, height) = shape.sides(size), image.size
    narrow = width * rows <= height * columns  # than what is asked: the width decides
    if (width == columns) if narrow else (height == rows):
        return image
    if narrow:
        target = (columns, int(columns * height / width))
    else:
        target = (int(rows * width / height), rows)
    return image.resize(target, Image.Resampling.BILINEAR)


def crop(image: Image.Image, top: int, left: int, size: shape.Size) -> Image.Image:
    """The part of `size` px whose upper left corner is (top, left), all in pixels."""
    height, width = shape.sides(size)
    if not (0 <= top <= image.height - height and 0 <= left <= image.width - width):
        raise UserError(f"a crop of {size} px at ({top}, {left}) leaves an image of {image.size}")
    return image.crop((left, top, left + width, top + height))


def center_crop(image: Image.Image, size: shape.Size) -> Image.Image:
    """The centre of `size` px, with torchvision's rounding of odd margins."""
    height, width = shape.sides(size)
    return crop(image, round((image.height - height) / 2), round((image.width - width) / 2), size)


def to_float(image: Image.Image) -> np.ndarray:
    """RGB image => float32 CHW in [-1, 1]."""
    return (np.asarray(image, dtype=np.float32) / 127.5 - 1.0).transpose(2, 0, 1)


def save_jpeg(path: str | Path, pixels: np.ndarray) -> None:
    """Write uint8 HWC as the JPEG that the Compression Ratio counts (JPEG above). Atomic."""
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, **JPEG)


def save_png(path: str | Path, pixels: np.ndarray) -> None:
    """Write uint8 HWC without loss. Atomic."""
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
