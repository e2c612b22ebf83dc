"""Sections `prompts` and `figures`."""

from typing import Annotated, Literal

from pydantic import Field

from diffusion4k.config.keys.types import (
    ABSENT,
    Count,
    Line,
    Name,
    Names,
    Natural,
    NotNegative,
    Section,
    Seed,
    Side,
    Where,
    each_once,
    matching,
)
from diffusion4k.figures import kinds

FigureName = matching("figure_[a-z0-9]+", "a figure is called figure_…, small letters and digits")
Sides = Annotated[list[Side], Field(min_length=2, max_length=2)]


def some(of: object) -> object:
    """A list that is not empty."""
    return Annotated[list[of], Field(min_length=1)]


class PromptSet(Section):
    """Prompts of one's own, in a file or here."""

    file: Where = ABSENT
    """text file with a prompt a line, or `.jsonl` with objects of `text` and perhaps `id`; UTF-8"""
    texts: some(str) = ABSENT
    """the prompts themselves, instead of a file"""
    label: Line
    """whose prompts they are; captions of figures say it"""


class Figure(Section):
    """One figure."""

    kind: Literal[tuple(kinds.every())]
    """what it shows, a module each in `scripts/diffusion4k/figures/kinds`: `gallery` (a line a
    prompt, a column a model), `mosaic` (a picture a prompt, in their own shapes), `samples` and
    `patches` of photographs, `reconstruction` and its `errors`, `histogram` of sizes, `curves` of
    losses, `votes` of people"""
    title: Line
    """what stands above it"""
    caption: str = ABSENT
    """what stands below it, before what its kind adds"""
    rows: Names
    """models (gallery, mosaic, curves; votes: the first ones of `people.pairs`), splits (samples,
    patches, histogram) or VAEs (reconstruction, errors)"""
    evaluation: Name = ABSENT
    """gallery, mosaic: the first prompts of this benchmark, at its size; a gallery shows their
    photographs too. The pictures are those that the benchmark has, drawn for the figure alone"""
    prompts: Name = ABSENT
    """gallery, mosaic: a set of `prompts`, in place of a benchmark's"""
    count: Count = ABSENT
    """prompts, photographs or patches that are shown; of a prompt set all when unset"""
    sizes: some(Sides) = ABSENT
    """[height, width] in pixels, several of them: a gallery draws every prompt in each, a mosaic
    its prompts in turn; needed with `prompts`"""
    guidance: each_once(NotNegative) = ABSENT
    """guidance scales, each of them for every prompt; unset: the model's own"""
    steps: each_once(Count) = ABSENT
    """numbers of sampler steps, likewise"""
    seeds: each_once(Seed) = ABSENT
    """seeds, likewise; unset: `seed`"""
    zoom: Count = ABSENT
    """gallery, reconstruction, errors: side in pixels of a square that is framed in each picture
    and shown enlarged below it, the one with the highest GLCM Score in the photograph, or in the
    first picture where there is none"""
    shards: Count = 1
    """gallery, mosaic: jobs that its pictures are split into, for a large grid"""
    images: Count = ABSENT
    """patches: photographs that they are looked for in, at even distances"""
    size: Side = ABSENT
    """patches: side in pixels of these photographs, resized and cropped as references are"""


class Gallery(Section):
    """The gallery of the report."""

    prompts: Natural
    """of a benchmark, that are shown: so many at even distances, and those of the highest and the
    lowest of each model's scores; 0: all"""
