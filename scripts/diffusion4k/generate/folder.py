"""Pictures on disk, each with a receipt of all that it was made from."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffusion4k.files import sha256, write_text
from diffusion4k.images import LOSSLESS, save_jpeg, save_png


@dataclass(frozen=True)
class Picture:
    """A picture in the folder; `seconds` is what making it took, whenever, without its text."""

    path: Path
    seconds: float


class Folder:
    """The pictures of one model and evaluation: images/<id>.jpg, and receipts/<id>.json.

    With `png`, lossless/<id>.png too, for metrics that score a picture as it was in memory. A
    receipt holds prompt, seed, settings, model and device, the digest of all that the picture was
    made from, and the SHA-256 of the files. The shards share the folder; a picture whose receipt
    does not fit is made again.
    """

    def __init__(self, root: str | Path, *, png: bool = False):
        self.root = Path(root)
        self.png = png

    def image(self, id: str) -> Path:
        """A picture's JPEG."""
        return self.root / "images" / f"{id}.jpg"

    def lossless(self, id: str) -> Path:
        """Its PNG, where such are kept."""
        return self.root / LOSSLESS / f"{id}.png"

    def files(self, id: str) -> list[Path]:
        """A picture's files, without its receipt."""
        return [self.image(id), self.lossless(id)] if self.png else [self.image(id)]

    def receipt(self, id: str) -> Path:
        """What says how a picture was made."""
        return self.root / "receipts" / f"{id}.json"

    def find(self, id: str, digest: str) -> Picture | None:
        """The picture of `id`, if it lies there unchanged and was made with this digest."""
        try:
            receipt = json.loads(self.receipt(id).read_text(encoding="utf-8"))
            whole = receipt["sha256"] == sha256(self.image(id))
            if self.png:
                whole = whole and receipt["png_sha256"] == sha256(self.lossless(id))
            if whole and receipt["digest"] == digest:
                return Picture(self.image(id), receipt["seconds"])
        except (OSError, ValueError, TypeError, KeyError):
            pass
        return None

    def save(
        self, id: str, pixels: np.ndarray, *, digest: str, seconds: float, **record: Any
    ) -> Picture:
        """Write a picture and its receipt (with `record`), atomically; only together they count."""
        save_jpeg(self.image(id), pixels)
        receipt = {"digest": digest, "sha256": sha256(self.image(id)), "seconds": seconds, **record}
        if self.png:
            save_png(self.lossless(id), pixels)
            receipt["png_sha256"] = sha256(self.lossless(id))
        write_text(self.receipt(id), json.dumps(receipt, indent=1) + "\n")
        return Picture(self.image(id), seconds)
