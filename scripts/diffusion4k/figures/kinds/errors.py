"""Where VAEs err: photographs, and how far each VAE's reconstruction of them is off."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusion4k.figures.kinds import Kind

if TYPE_CHECKING:
    import numpy as np

    from diffusion4k.figures.shown import Drawing, Shown

BRIGHTEST = 0.995  # of all places of a figure's maps, the share whose colours tell them apart


@dataclass(frozen=True)
class Errors(Kind):
    """A line a photograph, a column a VAE: how far its reconstruction is off."""

    def draw(self, shown: "Shown") -> "Drawing":
        import numpy as np
        from matplotlib import colormaps
        from PIL import Image

        from diffusion4k.figures import layout, zoom
        from diffusion4k.figures.kinds import gallery, reconstruction
        from diffusion4k.figures.shown import Drawing

        lines = reconstruction.lines(shown)
        maps, records, places = [], [], np.zeros(256, np.int64)
        for photograph, *rebuilt in lines:
            real = np.asarray(photograph.load())
            of_line = [p and difference(np.asarray(p.load()), real) for p in rebuilt]
            there = [(picture, of) for picture, of in zip(rebuilt, of_line, strict=True) if picture]
            for picture, of in there:
                places += np.bincount(of.ravel(), minlength=256)
                label = shown.labels[picture.row]
                records.append(picture.record(label) | {"mean_error": float(of.mean())})
            maps.append(of_line)
        brightest = max(1, int(np.searchsorted(places.cumsum(), BRIGHTEST * places.sum())))
        # of every level of 8 bits its colour, one scale for all maps
        levels = np.minimum(np.arange(256) / brightest, 1.0)
        colours = (colormaps["inferno"](levels)[:, :3] * 255).round().astype(np.uint8)
        settings, of_grid = shown.settings, []
        length = layout.side(
            max(photograph.width for photograph, *_ in lines), len(lines) * len(lines[0])
        )
        for (photograph, *_), of_line in zip(lines, maps, strict=True):
            images = [None if of is None else Image.fromarray(colours[of]) for of in of_line]
            images.insert(0, photograph.load())
            of_grid += zoom.lines("", images, length, settings.get("zoom"), settings.get("glcm"))
        scale = (
            "Beside each photograph, how far a reconstruction is off, the mean over red, green and"
            f" blue: black is nothing, the brightest {brightest} of 255 levels and more, one scale"
            " for all."
        )
        remarks = [scale]
        if settings.get("zoom"):
            remarks.append(gallery.ZOOMED.format("photograph"))
        headings = ["photograph", *shown.labels.values()]
        return Drawing(layout.grid(headings, of_grid, length), records, tuple(remarks))


def difference(rebuilt: "np.ndarray", photograph: "np.ndarray") -> "np.ndarray":
    """Mean of |rebuilt - photograph| over the channels, uint8 (H, W, 3) twice => uint8 (H, W)."""
    import numpy as np

    apart = np.abs(rebuilt.astype(np.int16) - photograph)
    return apart.mean(axis=-1, dtype=np.float32).round().astype(np.uint8)


KIND = Errors(
    "errors",
    rows="vaes",
    reads="reconstructions",
    takes=("count", "zoom"),
    needs=("count",),
)
