"""Sections `people`, `votes` and `ratings`."""

from typing import Annotated

from pydantic import AfterValidator, Field

from diffusion4k.config.keys.types import ABSENT, Count, Name, Names, Section

Pair = Annotated[list[Name], Field(min_length=2, max_length=2)]


def _not_empty(given: str | list[str]) -> str | list[str]:
    if "" in (given if isinstance(given, list) else [given]):
        raise ValueError("empty; give a path")
    return given


Files = Annotated[str | list[str], AfterValidator(_not_empty)]


class People(Section):
    """What people are asked about by the rating kit (docs/people.md)."""

    evaluation: Name
    """benchmark whose pictures are shown"""
    prompts: Count
    """prompts of it that are shown, at even distances; all where there are fewer"""
    pairs: Annotated[list[Pair], Field(min_length=1)]
    """of votes: two models each; rates are of the first over the second. Which the paper compared
    is not known to us"""
    rated: Names
    """of ratings: models whose pictures are rated"""
    patches: Count
    """of ratings: patches of `metrics.glcm.patch` px along each side of a picture"""
    side: Count = ABSENT
    """of votes: longer side in px at which pictures are shown; absent: as they are"""
    embed_mb: Count
    """MB of pictures that a page holds; more lie in a folder beside it"""
    partial: bool = False
    """`true`: take raters who did not answer all"""


class Ratings(Section):
    """Human ratings of images."""

    path: Files
    """what came back from raters, several files or a pattern: what the kit saved, or a CSV with the
    header `model,id,rating`, a line a rating; those of one image are averaged"""
    evaluation: Name
    """benchmark whose images were rated"""
    models: Names
    """models whose images were rated"""
