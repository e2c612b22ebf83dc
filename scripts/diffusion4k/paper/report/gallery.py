"""The gallery: a run's pictures side by side, with prompt, settings, scores and the photograph."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from diffusion4k import images, manifest, shape
from diffusion4k.data import captions
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.figures import photographs
from diffusion4k.figures.shown import Shown, in_px
from diffusion4k.files import atomic
from diffusion4k.manifest import Manifest
from diffusion4k.metrics import families
from diffusion4k.paper.report import templates
from diffusion4k.sources.miniature.notes import plumbing

PHOTOGRAPH = "Photograph"
LENGTH = 384  # px of a thumbnail's longer side


@dataclass(frozen=True)
class Tile:
    """A picture of the gallery: `link` leads to the original, `thumbnail` is beside the page.

    scores: {metric's label: (value, as shown)}; settings: what made it, for readers.
    """

    label: str
    prompt: str
    link: str
    thumbnail: str
    height: int
    width: int
    settings: str = ""
    scores: dict[str, tuple[float, str]] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, float]:
        """The scores as numbers, to sort by."""
        return {name: value for name, (value, _) in self.scores.items()}


@dataclass(frozen=True)
class Item:
    """A prompt, its photograph where there is one, and its pictures, one a model or setting."""

    id: str
    prompt: str
    tiles: list[Tile]


@dataclass(frozen=True)
class Group:
    """The items of one benchmark or figure, `of` as many as it has prompts."""

    id: str
    title: str
    items: list[Item]
    of: int

    @property
    def orders(self) -> dict[str, list[str]]:
        """{label of a model: the scores that its pictures have}, to sort by."""
        by_label: dict[str, dict[str, None]] = {}
        for item in self.items:
            for tile in item.tiles:
                if tile.scores:
                    by_label.setdefault(tile.label, {}).update(dict.fromkeys(tile.scores))
        return {label: list(names) for label, names in by_label.items()}

    @property
    def pictures(self) -> int:
        """How many; photographs do not count."""
        return sum(tile.label != PHOTOGRAPH for item in self.items for tile in item.tiles)


def spread(names: Sequence[str], most: int) -> list[str]:
    """At most `most` of the names, 0 for all, at even distances, the first among them."""
    if not most or len(names) <= most:
        return list(names)
    return [names[place * len(names) // most] for place in range(most)]


def extremes(numbers: Mapping[str, Mapping[str, Mapping[str, tuple[float, str]]]]) -> set[str]:
    """Ids of the highest and the lowest of scores: {model: {id: {score: (value, as shown)}}}."""
    ids: set[str] = set()
    for of_model in numbers.values():
        for name in {name for own in of_model.values() for name in own}:
            having = [(own[name][0], id) for id, own in of_model.items() if name in own]
            ids |= {min(having)[1], max(having)[1]}
    return ids


def scores(family: str, aggregate: Manifest) -> dict[str, dict[str, tuple[float, str]]]:
    """id => {label: (value, as shown)}: the family's columns, each of one picture alone.

    Of a column that says the same of each picture as one before there is the first alone.
    """
    import pandas as pd

    of = families.get(family)
    shards = [
        manifest.read(path) for name, path in aggregate.inputs.items() if name.startswith("scores-")
    ]
    tables = [
        pd.read_parquet(shard.listed(path).sound())
        for shard in shards
        for path in shard.paths()
        if path.suffix == ".parquet"
    ]
    table = pd.concat(tables)
    columns = {name: table[name].to_numpy() for name in table.columns}
    of.derive(columns, shards)
    statistics = of.statistics(columns)
    ids = list(map(str, columns["id"]))
    by_id: dict[str, dict[str, tuple[float, str]]] = {id: {} for id in ids}
    earlier: list[list[float]] = []
    for key, column in of.columns.items():
        statistic, names = statistics.get(column.metric or key, (None, ()))
        of_each = ([columns[name][row : row + 1] for name in names] for row in range(len(ids)))
        values = [float(statistic(*part)) for part in of_each] if statistic else []
        if values in earlier:
            continue
        earlier.append(values)
        for id, value in zip(ids, values, strict=False):
            if np.isfinite(value):
                shown = f"{value:.{column.digits}f}".replace("-", "−")
                by_id[id][column.label] = (value, shown)
    return by_id


@dataclass(frozen=True)
class Thumbnails:
    """Small copies of pictures in `folder`, whose names begin with what they are of."""

    folder: Path
    page: Path  # whose links are relative to its folder

    def add(self, path: Path, *name: object, picture: Image.Image | None = None) -> dict[str, str]:
        """{"link", "thumbnail"} of the picture at `path`, or of `picture`, which was made of it."""
        stem = re.sub(r"[^\w-]+", "-", "-".join(map(str, name)))
        file = self.folder / f"{stem}.jpg"
        small = picture or _decoded(path)
        small.thumbnail((LENGTH, LENGTH), Image.Resampling.LANCZOS)
        with atomic(file) as temporary:
            small.save(temporary, "JPEG", quality=85)
        return {"link": self._link(path), "thumbnail": self._link(file)}

    def _link(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.page.parent)).as_posix()


def benchmark(
    name: str,
    about: Mapping[str, Any],
    rows: Mapping[str, Sequence[Manifest]],
    scored: Mapping[str, Mapping[str, Manifest]],
    dataset: Manifest,
    thumbnails: Thumbnails,
    most: int,
) -> Group:
    """A benchmark's prompts: the photograph and each model's picture.

    about: title, folder in the data set, size (see shape), labels of the models. rows: model => its
    shards. scored: model => family => the aggregate of its scores. most: prompts that are shown, 0
    for all; with them those of each score's extremes.
    """
    listed = {sample.id: sample for sample in captions.of(dataset, about["folder"])}
    files = {model: _pictures(shards) for model, shards in rows.items()}
    numbers = {model: _merged(of_model) for model, of_model in scored.items()}
    texts = {model: _prompts(shards, about["folder"]) for model, shards in rows.items()}
    common = [id for id in listed if any(id in of_model for of_model in files.values())]
    chosen = extremes(numbers) | set(spread(common, most))
    items = []
    for place, id in enumerate(id for id in common if id in chosen):
        sample = listed[id]
        tiles = [_photograph(sample, *shape.sides(about["size"]), thumbnails, name, place)]
        for model, of_model in files.items():
            if id not in of_model:
                continue
            path, source = of_model[id]
            source.listed(path).sound()
            height, width = images.sides(path)
            where = thumbnails.add(path, name, place, model)
            own = numbers.get(model, {}).get(id, {})
            sampling = settings(source.settings, height, width)
            label, prompt = about["labels"][model], texts[model].get(id, sample.text)
            tiles.append(Tile(label, prompt, **where, height=height, width=width,
                              settings=sampling, scores=own))  # fmt: skip
        items.append(Item(id, sample.text, tiles))
    return Group(name, about["title"], items, len(common))


def figure(drawn: Manifest, thumbnails: Thumbnails, most: int) -> Group:
    """The pictures that were drawn for a figure, together by prompt, and the photographs.

    most: prompts that are shown, 0 for all.
    """
    inputs, folder = drawn.inputs, drawn.settings.get("folder", ".")
    listed: dict[str, CaptionedImage] = {}
    if reference := inputs.get("reference"):
        listed = Shown({}, {}, {}, manifest.read(reference), folder).photographs
    behind = (manifest.read(path) for name, path in inputs.items() if name != "reference")
    sources = {path: source for source in behind for path in source.paths()}
    prompts: dict[str, list[Mapping[str, Any]]] = {}
    for picture in drawn.results.get("pictures", []):
        if picture.get("steps"):  # drawn here: a photograph has none
            prompts.setdefault(picture["id"], []).append(picture)
    items = []
    for place, id in enumerate(spread(list(prompts), most)):
        tiles, first = [], prompts[id][0]
        if id in listed:
            sides = first["height"], first["width"]
            tiles.append(_photograph(listed[id], *sides, thumbnails, drawn.path.stem, place))
        for number, picture in enumerate(prompts[id]):
            path = Path(os.path.normpath(picture["file"]))
            sources[path].listed(path).sound()
            where = thumbnails.add(path, drawn.path.stem, place, number, picture["row"])
            sampling = settings(picture, picture["height"], picture["width"])
            tiles.append(Tile(picture["label"], picture["prompt"], **where, settings=sampling,
                              height=picture["height"], width=picture["width"]))  # fmt: skip
        items.append(Item(id, first["prompt"], tiles))
    title = drawn.results.get("title", drawn.path.stem)
    return Group(drawn.path.stem, title, items, len(prompts))


def page(template: Path, run: str, groups: Sequence[Group], notes: Iterable[str]) -> str:
    """The gallery's HTML; `notes` of what it rests on say whether that is miniature or random."""
    miniature = any(map(plumbing, notes))
    return templates.named(template).render(run=run, groups=groups, miniature=miniature)


def settings(of: Mapping[str, Any], height: int, width: int) -> str:
    """256 x 256 px, seed 0, guidance 3.5, 20 steps: as far as they are known."""
    parts = [in_px((height, width))]
    # as generate.py has it: with a policy, the seed that each prompt's own is derived from
    own = " by prompt" if of.get("seed_policy") == "per_prompt" else ""
    forms = {"seed": f"seed {{:g}}{own}", "guidance": "guidance {:g}", "steps": "{:g} steps"}
    for name, text in forms.items():
        if isinstance(value := of.get(name), int | float):
            parts.append(text.format(value))
    return ", ".join(parts)


def _photograph(
    sample: CaptionedImage, height: int, width: int, thumbnails: Thumbnails, *name: object
) -> Tile:
    """The photograph of a prompt as references are cropped; its link leads to the whole file."""
    sample.sound()
    cropped = photographs.reference(sample.path, height, width)
    where = thumbnails.add(sample.path, *name, "photograph", picture=cropped)
    cropping = f"upright, in the crop of the scores; the file is {in_px(images.sides(sample.path))}"
    return Tile(PHOTOGRAPH, sample.text, **where, height=height, width=width, settings=cropping)


def _prompts(shards: Iterable[Manifest], folder: str) -> dict[str, str]:
    """id => the prompt that the pictures were drawn from, which may be of other captions."""
    datasets = {shard.inputs["dataset"] for shard in shards if "dataset" in shard.inputs}
    return {s.id: s.text for path in datasets for s in captions.of(manifest.read(path), folder)}


def _pictures(shards: Iterable[Manifest]) -> dict[str, tuple[Path, Manifest]]:
    """id => its file and the manifest that lists it."""
    return {path.stem: (path, shard) for shard in shards for path in images.pictures(shard.paths())}


def _merged(of_model: Mapping[str, Manifest]) -> dict[str, dict[str, tuple[float, str]]]:
    merged: dict[str, dict[str, tuple[float, str]]] = {}
    for family, aggregate in of_model.items():
        for id, own in scores(family, aggregate).items():
            merged.setdefault(id, {}).update(own)
    return merged


def _decoded(path: Path) -> Image.Image:
    """The picture, decoded at a fraction of its size where JPEG allows that."""
    with Image.open(path) as opened:
        opened.draft("RGB", (2 * LENGTH, 2 * LENGTH))
        return opened.convert("RGB")
