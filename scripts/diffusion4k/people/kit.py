"""The rating kit: what people are asked about which pictures, without a word on who drew them.

A kit is one HTML page that needs no network, and a key. In the page an item has a number, a
caption, and a picture or two, called a and b; order and places are drawn by the seed, so that they
tell nothing. The key, which stays with whoever runs the study, says which model a and b are.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from diffusion4k.data import shards
from diffusion4k.errors import UserError
from diffusion4k.manifest import Listed
from diffusion4k.people.pictures import text

Purpose = Literal["pairs", "ratings"]
# Table 11's three questions on a pair
QUESTIONS = {
    "visual_aesthetics": "Which picture is of higher quality, and more pleasing?",
    "prompt_adherence": "Which picture is more faithful to the text?",
    "fine_details": "Which picture is clearer and sharper, with the finer texture?"
    " Ignore all other aspects.",
}
RATING = "How rich and clear are the fine details?"
RATINGS = {1: "none", 2: "poor", 3: "fair", 4: "good", 5: "rich"}
Pictures = Mapping[str, Mapping[str, Listed]]  # model => prompt id => its picture


@dataclass(frozen=True)
class Item:
    """One thing that is judged: the pictures of `models`, called a and b in this order."""

    id: str
    prompt_id: str
    caption: str
    models: tuple[str, ...]
    pictures: tuple[Listed, ...]

    @property
    def slots(self) -> dict[str, tuple[str, Listed]]:
        """a, b => (model, picture)."""
        return dict(zip("ab", zip(self.models, self.pictures, strict=True), strict=False))


def items(
    pictures: Pictures,
    captions: Mapping[str, str],
    groups: Sequence[Sequence[str]],
    *,
    prompts: int,
    seed: int,
    own: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> list[Item]:
    """An item for each group of models (of one, or of two for a pair) and each prompt.

    `captions`: of every prompt, by id, in the data set's order; `prompts` of them at even distances
    are taken. `own`: model => id => text of models with captions of their own. UserError for a
    picture that a model lacks, and for a pair of two texts.
    """
    chosen = shards.spread(list(captions), prompts)
    for model in {model for group in groups for model in group}:
        if lost := [prompt for prompt in chosen if prompt not in pictures[model]]:
            raise UserError(f"{model}: no picture of prompt {lost[0]}; generate the evaluation")
    random = np.random.default_rng(seed)
    pairs = [(prompt, group) for prompt in chosen for group in groups]
    drawn = []
    for number, index in enumerate(random.permutation(len(pairs)), start=1):
        prompt, group = pairs[index]
        models = tuple(group[i] for i in random.permutation(len(group)))
        shown = tuple(pictures[model][prompt] for model in models)
        caption = text(prompt, group, captions, own)
        drawn.append(Item(f"{number:03d}", prompt, caption, models, shown))
    return drawn


def digest(purpose: Purpose, of: Sequence[Item], layout: Mapping[str, int]) -> str:
    """What tells one kit from another: pictures, places, captions, `layout`; 16 hex digits.

    The page's looks do not count: answers to a kit stay good when the program that made it changes.
    """
    parts = [[item.id, item.caption, [p.sha256 for p in item.pictures]] for item in of]
    record = json.dumps([purpose, parts, sorted(layout.items())])
    return hashlib.sha256(record.encode()).hexdigest()[:16]


def key(purpose: Purpose, of: Sequence[Item], layout: Mapping[str, int]) -> dict[str, Any]:
    """{"kit", "purpose", "items": {id: {"prompt_id", "a": model, "b": model}}}."""
    entries = {
        item.id: {"prompt_id": item.prompt_id}
        | {slot: model for slot, (model, _) in item.slots.items()}
        for item in of
    }
    return {"kit": digest(purpose, of, layout), "purpose": purpose, "items": entries}
