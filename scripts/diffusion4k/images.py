"""Images in and out, with Pillow: the one decoder, resizer, cropper and encoder of every stage."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

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


def save_png(path: str | Path, pixels: np.ndarray) -> None:
    """Write uint8 HWC without loss. Atomic."""
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")
