"""One picture a prompt, side by side whatever their shapes, the prompt below each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from diffusion4k.figures.kinds import Kind

if TYPE_CHECKING:
    from diffusion4k.figures.shown import Drawing, Shown


@dataclass(frozen=True)
class Mosaic(Kind):
    """A picture a prompt, in rows of one height."""

    def draw(self, shown: "Shown") -> "Drawing":
        from diffusion4k.figures import layout
        from diffusion4k.figures.shown import Drawing, settings

        parts, used = [], []
        for row, label in shown.labels.items():
            tiles = []
            pictures = shown.pictures(row)
            used += pictures
            for picture in pictures:
                image = picture.load()
                image.thumbnail((768, 768), Image.Resampling.LANCZOS)
                tiles.append(layout.Tile(image, picture.prompt))
            parts.append((label if len(shown.labels) > 1 else "", tiles))
        records = [picture.record(shown.labels[picture.row]) for picture in used]
        return Drawing(layout.mosaic(parts), records, (settings(used, shown.labels),))


KIND = Mosaic(
    "mosaic",
    takes=("evaluation", "prompts", "count", "shards", "sizes", "guidance", "steps", "seeds"),
    in_turn=True,
)
