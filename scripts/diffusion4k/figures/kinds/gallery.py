"""Pictures side by side: a line a prompt, a column a model, the photograph first if there is one.

Several sizes, guidance scales or numbers of steps are lines of their own, several seeds columns.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusion4k.figures.kinds import Kind

if TYPE_CHECKING:
    from diffusion4k.figures.shown import Drawing, Picture, Shown

LINES = ("guidance", "steps")  # what makes a line of its own where the figure varies it


@dataclass(frozen=True)
class Gallery(Kind):
    """A line a prompt, a column a model."""

    def draw(self, shown: "Shown") -> "Drawing":
        from diffusion4k import cli
        from diffusion4k.errors import UserError
        from diffusion4k.figures import layout, photographs, zoom
        from diffusion4k.figures.shown import Drawing, settings

        seeds = shown.settings.get("seeds", [None])
        drawn = {row: shown.pictures(row) for row in shown.labels}
        lines: dict[tuple, dict[str, list[Picture]]] = {}
        for row, pictures in drawn.items():
            for picture in pictures:
                line = lines.setdefault(_place(picture, shown.settings), {})
                line.setdefault(row, []).append(picture)
        if shown.photographs:  # of somebody's own pictures no more than of the others
            lines = dict(list(lines.items())[: shown.settings.get("count")])
        if not lines:
            where = ", ".join(str(source.path) for many in shown.rows.values() for source in many)
            raise UserError(f"{where or 'the rows'}: no pictures in it")
        length = layout.side(
            max(max(key[1:3]) for key in lines), len(lines) * len(shown.labels) * len(seeds)
        )
        headings = ["photograph"] if shown.photographs else []
        for label in shown.labels.values():
            several = len(seeds) > 1
            headings += [f"{label}, seed {seed}" if several else label for seed in seeds]
        of_grid, used = [], []
        for key, by_row in cli.progress(lines.items(), desc="gallery", unit="line"):
            columns = [
                (by_row.get(row, []) + [None] * len(seeds))[number]
                for row in shown.labels
                for number in range(len(seeds))
            ]
            there = [picture for picture in columns if picture]
            used += there
            id, height, width = key[:3]
            images = [picture and picture.load() for picture in columns]
            if shown.photographs:
                path = shown.photographs[id].sound()
                images.insert(0, photographs.reference(path, height, width))
            options = (length, shown.settings.get("zoom"), shown.settings.get("glcm"))
            of_grid += zoom.lines(_caption(there[0], shown.settings), images, *options)
        remarks = [settings(used, shown.labels)]
        if shown.settings.get("zoom"):
            remarks.append(ZOOMED.format("photograph" if shown.photographs else "first picture"))
        records = [picture.record(shown.labels[picture.row]) for picture in used]
        return Drawing(layout.grid(headings, of_grid, length), records, tuple(remarks))


ZOOMED = (
    "The frame, enlarged below, is in each line the square of the highest GLCM Score in the {}."
)


def _place(picture: "Picture", settings: dict) -> tuple:
    """The line of a picture; sides second and third."""
    varied = [getattr(picture, name) if name in settings else None for name in LINES]
    return (picture.id, picture.height, picture.width, *varied)


def _caption(picture: "Picture", settings: dict) -> str:
    words = []
    if len(settings.get("sizes", ())) > 1:
        words.append(f"{picture.height} x {picture.width} px")
    if len(settings.get("guidance", ())) > 1:
        words.append(f"guidance {picture.guidance:g}")
    if len(settings.get("steps", ())) > 1:
        words.append(f"{picture.steps} steps")
    return ": ".join(filter(None, [", ".join(words), picture.prompt]))


VARIATIONS = ("sizes", "guidance", "steps", "seeds")
KIND = Gallery(
    "gallery",
    takes=("evaluation", "prompts", "count", "zoom", "shards", *VARIATIONS),
)
