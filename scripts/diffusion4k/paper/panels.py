"""What each kind of figure shows, from the manifests of its rows; figures.py draws it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from diffusion4k import cli, images
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.errors import UserError
from diffusion4k.manifest import Manifest
from diffusion4k.paper import figures
from diffusion4k.shape import Size, sides


@dataclass(frozen=True)
class Shown:
    """The rows of a figure in the order of `labels`, by key; one without manifests is "not run".

    `ids` are the pictures to show, if the figure's spec names some.
    """

    rows: dict[str, list[Manifest]]
    labels: dict[str, str]
    ids: Sequence[str] = ()

    def paths(self, key: str) -> list[Path]:
        """The bulk of all manifests of a row."""
        return [path for shard in self.rows.get(key, []) for path in shard.paths()]

    def picture(self, path: Path, *how) -> Image.Image:
        """`figures.picture` of a file of the rows; UserError when it is not what was made."""
        every = (shard.listed(path) for shards in self.rows.values() for shard in shards)
        return figures.picture(next(file for file in every if file.sha256).sound(), *how)


def gallery(
    shown: Shown,
    captioned: Sequence[CaptionedImage],
    *,
    count: int,
    size: Size,
    tile: int,
    zoom: tuple[int, int, int] | None = None,
) -> Figure:
    """Rows: prompts; columns: the photograph, then each model in the order of the labels.

    The first `count` of the data set's `captioned` images, unless `shown.ids` names some. `size`:
    px of the generated images, `tile`: px of a picture at most. With `zoom` (top, left, size in px)
    a prompt has a second row, the same small square of each picture.
    """
    by_id = {image.id: image for image in captioned}
    ids = shown.ids or list(by_id)[:count]
    if unknown := [name for name in ids if name not in by_id]:
        raise UserError(f"figure spec, ids: {unknown[0]!r} is not among the data set's images")
    side = figures.tile_side(max(sides(size)), tile)
    tile_shape = [round(length * side / max(sides(size))) for length in sides(size)]
    by_model = {key: figures.shards_by_id(shown.paths(key)) for key in shown.labels}
    lines = []
    for name in cli.progress(ids, desc="gallery", unit="prompt"):
        drawn = [files.get(name) for files in by_model.values()]
        photograph = figures.photograph(by_id[name].sound(), tile_shape)
        pictures = [path and shown.picture(path, side) for path in drawn]
        lines.append((by_id[name].text, [photograph, *pictures]))
        if zoom:
            top, left, square = zoom
            whole = figures.photograph(by_id[name].path, size)
            patches = [figures.fit(images.crop(whole, top, left, square), side)]
            patches += [path and shown.picture(path, side, zoom) for path in drawn]
            lines.append((f"{square} x {square} px from row {top}, column {left}", patches))
    return figures.grid(["photograph", *shown.labels.values()], lines, side=side)


def reconstructions(shown: Shown, *, count: int, tile: int) -> Figure:
    """Rows: photographs; columns: the photograph, then each VAE's reconstruction.

    The first `count` of those that there are, unless `shown.ids` names some; `tile`: px.
    """
    by_vae = {key: figures.pairs(shown.paths(key)) for key in shown.labels}
    names = list(dict.fromkeys(name for pairs in by_vae.values() for name in pairs))
    if not names:
        where = ", ".join(str(shard.path) for shards in shown.rows.values() for shard in shards)
        raise UserError(f"{where}: no pictures in it; reconstruct with --pictures")
    side = figures.tile_side(tile, tile)
    lines = []
    for name in shown.ids or names[:count]:
        pairs = [of_vae.get(name) for of_vae in by_vae.values()]
        real = next((pair[0] for pair in pairs if pair), None)
        line = [real, *(pair and pair[1] for pair in pairs)]
        lines.append(("", [path and shown.picture(path, side) for path in line]))
    return figures.grid(["photograph", *shown.labels.values()], lines, side=side)


def sizes(shown: Shown) -> Figure:
    """Histograms of heights and widths, from the parquet of each split's check."""
    return figures.histograms(_tables(shown, ".parquet", ["height", "width"]))


def losses(shown: Shown) -> Figure:
    """Curves of the loss.parquet of each model's last step."""
    return figures.curves(_tables(shown, "loss.parquet", ["step", "loss"]))


def _tables(shown: Shown, suffix: str, columns: list[str]) -> dict[str, pd.DataFrame]:
    """label => the one table of each row's bulk whose name ends in `suffix`."""
    tables = {}
    for key, label in shown.labels.items():
        for source in shown.rows.get(key, []):
            paths = [path for path in source.paths() if path.name.endswith(suffix)]
            if len(paths) != 1:
                raise UserError(f"{source.path}: {len(paths)} files *{suffix}, one needed")
            table = pd.read_parquet(source.listed(paths[0]).sound())
            if missing := set(columns) - set(table.columns):
                raise UserError(f"{paths[0]}: no column {', '.join(sorted(missing))}")
            if table.empty:
                raise UserError(f"{paths[0]}: empty; make it again")
            tables[label] = table[columns]
    return tables
