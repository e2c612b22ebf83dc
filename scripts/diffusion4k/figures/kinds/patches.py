"""Patches of photographs from the highest to the lowest GLCM Score, with their two scores."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusion4k.figures.kinds import Kind

if TYPE_CHECKING:
    from diffusion4k.figures.shown import Drawing, Shown


@dataclass(frozen=True)
class Patches(Kind):
    """Patches in order of their GLCM Score."""

    def draw(self, shown: "Shown") -> "Drawing":
        import numpy as np
        from PIL import Image

        from diffusion4k import cli
        from diffusion4k.data import shards
        from diffusion4k.figures import layout, photographs, zoom
        from diffusion4k.figures.shown import Drawing
        from diffusion4k.metrics import glcm

        settings = shown.settings
        matrices, size = zoom.matrices(settings["glcm"]), settings["size"]
        side = matrices.patch
        parts, records = [], []
        for row, label in shown.labels.items():
            samples = {s.id: s for s in shards.spread(shown.samples(row), settings["images"])}
            ranked = []
            for id, sample in cli.progress(samples.items(), desc="patches", unit="image"):
                pixels = np.asarray(photographs.reference(sample.sound(), size, size))
                scores = glcm.patches(glcm.grey(pixels), matrices, threads=cli.threads())["glcm"]
                places = np.ndindex(*scores.shape)
                ranked += [(-scores[at], id, at[0] * side, at[1] * side) for at in places]
            ranked.sort()
            # both ends, and what lies between them at even distances of rank
            count = min(settings["count"], len(ranked))
            chosen = [ranked[i] for i in np.linspace(0, len(ranked) - 1, count).round().astype(int)]
            of = {id: photographs.reference(samples[id].path, size, size) for _, id, *_ in chosen}
            tiles = []
            for score, id, top, left in chosen:
                pixels = np.asarray(of[id].crop((left, top, left + side, top + side)))
                ratio = photographs.jpeg_ratio(pixels)
                note = f"GLCM Score {-score:.2f}\nCompression Ratio {ratio:.2f}"
                tiles.append(layout.Tile(Image.fromarray(pixels), note))
                record = shown.photograph(row, samples[id], side, side)
                own = {"top": top, "left": left, "glcm": -float(score), "cr": float(ratio)}
                records.append(record | own)
            parts.append((label if len(shown.labels) > 1 else "", tiles))
        looked = f"{len(samples)} photographs of {size} x {size} px"
        remark = (
            f"Patches of {side} x {side} px of {looked}, at even distances of rank; their JPEG's"
            " tables, about 600 bytes, count in the Compression Ratio of so small a picture."
        )
        return Drawing(layout.mosaic(parts, across=6), records, (remark,))


KIND = Patches(
    "patches",
    rows="splits",
    reads="photographs",
    takes=("count", "images", "size"),
    needs=("count", "images", "size"),
)
