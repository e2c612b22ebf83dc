"""JPEG files that others wrote, beside those of generation: do their bytes compare?"""

import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from PIL import Image, JpegImagePlugin

from diffusion4k import images


def note(path: str | Path) -> str:
    """What `notes` shall say of a JPEG file: "" when its bytes compare with those of generation."""
    others = differences(path)
    return f"JPEG of other {', '.join(others)}" if others else ""


def differences(path: str | Path) -> list[str]:
    """In what a JPEG file is not encoded as by `images.save_jpeg`; empty if its bytes compare."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, **images.JPEG)
    with Image.open(buffer) as ours, Image.open(path) as theirs:
        differs = {
            "quality": theirs.quantization != ours.quantization,
            "subsampling": JpegImagePlugin.get_sampling(theirs) != images.JPEG["subsampling"],
            "progressive": bool(theirs.info.get("progressive")),
            "metadata": bool({"exif", "icc_profile", "xmp", "comment"} & set(theirs.info)),
        }
    # Pillow does not tell optimised Huffman tables from the standard ones
    data = Path(path).read_bytes()
    differs["Huffman tables"] = _huffman_tables(data) != _huffman_tables(buffer.getvalue())
    differs["length (bytes follow the picture)"] = not data.endswith(b"\xff\xd9")
    return [name for name, different in differs.items() if different]


def _huffman_tables(data: bytes) -> frozenset[bytes]:
    """The tables of all DHT segments before the first scan (ITU-T T.81, B.2.4.2)."""
    tables, at = set(), 2
    while at + 4 <= len(data) and data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if data[at + 1] == 0xC4:
            start = at + 4
            while start < end:
                stop = start + 17 + sum(data[start + 1 : start + 17])
                tables.add(data[start:stop])
                start = stop
        at = end
    return frozenset(tables)


def notes(folder: Path, words: Iterable[str]) -> list[str]:
    """What was said of the pictures of a set (`note`, or a format), counted, as lines."""
    lines = []
    for what, count in sorted(Counter(filter(None, words)).items()):
        if what.startswith("JPEG"):
            then = "their Compression Ratio does not compare with that of quality 95, 4:2:0"
        else:
            then = "encoded here as JPEG of quality 95, 4:2:0"
        lines.append(f"{folder}: {count} pictures are {what}; {then}")
    return lines
