"""Images in and out, with Pillow: the one decoder, resizer, cropper and encoder of every stage."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin

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

# Photographs of 100 megapixels and more are this project's business, not an attack.
Image.MAX_IMAGE_PIXELS = 1_000_000_000


def load_rgb(path: str | Path, *, exif_transpose: bool) -> Image.Image:
    """Decode the whole file as 8-bit RGB; `exif_transpose` turns it upright as training does.

    Palette, grey and CMYK images are converted, alpha is composited on white. Raises UserError,
    naming the file and the reason, for one that is empty, truncated, no image, or 16 bits deep
    (Pillow would clip those values, not scale them).
    """
    path = Path(path)
    try:
        with Image.open(path) as opened:
            opened.load()
            image = ImageOps.exif_transpose(opened) if exif_transpose else opened.copy()
    except FileNotFoundError:
        raise UserError(f"{path}: no such image") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "zero bytes" if path.stat().st_size == 0 else error
        raise UserError(f"{path}: cannot be decoded ({reason}); fetch it again") from None
    if image.mode.startswith(("I", "F")):
        raise UserError(f"{path}: mode {image.mode}, more than 8 bits a channel; convert it first")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def resize_shorter_side(image: Image.Image, size: int) -> Image.Image:
    """Bilinear (antialiased) resize so that the shorter side is `size` px; upsamples too."""
    width, height = image.size
    if min(width, height) == size:
        return image
    if width <= height:
        target = (size, int(size * height / width))
    else:
        target = (int(size * width / height), size)
    return image.resize(target, Image.Resampling.BILINEAR)


def crop(image: Image.Image, top: int, left: int, size: int) -> Image.Image:
    """The `size` x `size` square whose upper left corner is (top, left), all in pixels."""
    if not (0 <= top <= image.height - size and 0 <= left <= image.width - size):
        raise UserError(f"a crop of {size} px at ({top}, {left}) leaves an image of {image.size}")
    return image.crop((left, top, left + size, top + size))


def center_crop(image: Image.Image, size: int) -> Image.Image:
    """The central square, with torchvision's rounding of odd margins."""
    return crop(image, round((image.height - size) / 2), round((image.width - size) / 2), size)


def to_float(image: Image.Image) -> np.ndarray:
    """RGB image => float32 CHW in [-1, 1]."""
    return (np.asarray(image, dtype=np.float32) / 127.5 - 1.0).transpose(2, 0, 1)


def from_float(array: np.ndarray) -> np.ndarray:
    """float CHW in [-1, 1] (clipped) => uint8 HWC, rounded as diffusers' image processor does."""
    unit = np.clip(np.asarray(array, dtype=np.float32) / 2 + 0.5, 0.0, 1.0)
    return (unit * 255).round().astype(np.uint8).transpose(1, 2, 0)


def save_jpeg(path: str | Path, pixels: np.ndarray) -> None:
    """Write uint8 HWC as the JPEG that the Compression Ratio counts (JPEG above). Atomic."""
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, **JPEG)


def jpeg_differences(path: str | Path) -> list[str]:
    """In what a JPEG file differs from the encoding of `save_jpeg`; empty if its bytes compare."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, **JPEG)
    with Image.open(buffer) as ours, Image.open(path) as theirs:
        differs = {
            "quality": theirs.quantization != ours.quantization,
            "subsampling": JpegImagePlugin.get_sampling(theirs) != JPEG["subsampling"],
            "progressive": bool(theirs.info.get("progressive")),
            "metadata": bool({"exif", "icc_profile", "xmp", "comment"} & set(theirs.info)),
        }
    # Pillow does not tell optimised Huffman tables from the standard ones
    theirs = _huffman_tables(Path(path).read_bytes())
    differs["Huffman tables"] = theirs != _huffman_tables(buffer.getvalue())
    return [name for name, different in differs.items() if different]


def _huffman_tables(data: bytes) -> frozenset[bytes]:
    """The tables of all DHT segments before the first scan (ITU-T T.81, B.2.4.2)."""
    found, at = set(), 2
    while at + 4 <= len(data) and data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if data[at + 1] == 0xC4:
            start = at + 4
            while start < end:
                stop = start + 17 + sum(data[start + 1 : start + 17])
                found.add(data[start:stop])
                start = stop
        at = end
    return frozenset(found)


def save_png(path: str | Path, pixels: np.ndarray) -> None:
    """Write uint8 HWC without loss. Atomic."""
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
