"""The pictures of a figure: prompts by sizes, guidance scales, steps and seeds.

A picture is what the sampler makes of a prompt, a seed and settings, as in an evaluation, and so
the same bytes; which others are drawn beside it, and by how many jobs, changes nothing.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

from diffusion4k import environment
from diffusion4k.backbones.base import Sampled
from diffusion4k.background import one_behind
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.generate import sampler, seeds
from diffusion4k.generate.folder import Folder
from diffusion4k.generate.settings import Choices, SamplerSettings, choose
from diffusion4k.generate.setup import Setup

Sides = tuple[int, int]  # height, width in px


@dataclass(frozen=True)
class Wanted:
    """One picture: of the prompt `id`, from `seed`, by `settings`."""

    id: str
    text: str
    seed: int
    settings: SamplerSettings

    @property
    def name(self) -> str:
        """A file's name, the prompt's id and eight digits for all that may vary beside it."""
        varies = json.dumps([self.seed, asdict(self.settings)])
        return f"{self.id}-{hashlib.sha256(varies.encode()).hexdigest()[:8]}"

    def record(self) -> dict[str, Any]:
        """What a manifest says of it."""
        names = ("height", "width", "guidance", "steps")
        own = {name: getattr(self.settings, name) for name in names}
        return {"id": self.id, "prompt": self.text, "seed": self.seed} | own


@dataclass(frozen=True)
class Variations:
    """What is drawn of each prompt: every combination, or, `in_turn`, one of the sizes each.

    An empty `guidance` or `steps` is the model's own; `seeds` go through the seed policy.
    """

    sizes: Sequence[Sides]
    guidance: Sequence[float] = ()
    steps: Sequence[int] = ()
    seeds: Sequence[int] = (0,)
    in_turn: bool = False

    def of(
        self,
        prompts: Sequence[CaptionedImage],
        backbone: Sampled,
        own: Choices,
        *,
        of_class: dict[str, Choices],
        policy: str,
        negative_prompt: str,
    ) -> list[Wanted]:
        """The pictures of some prompts by a model whose own settings are `own`."""
        wanted = []
        for number, prompt in enumerate(prompts):
            sizes = [self.sizes[number % len(self.sizes)]] if self.in_turn else self.sizes
            guidance, steps = self.guidance or [own["guidance"]], self.steps or [own["steps"]]
            for (height, width), scale, count, seed in product(sizes, guidance, steps, self.seeds):
                given = {"guidance": scale, "steps": count, "t5_tokens": own["t5_tokens"]}
                size = {"height": height, "width": width, "negative_prompt": negative_prompt}
                settings = choose(backbone, given, of_class, **size)
                own_seed = seeds.image_seed(policy, seed, prompt.id)
                wanted.append(Wanted(prompt.id, prompt.text, own_seed, settings))
        return wanted


def draw(setup: Setup, wanted: Sequence[Wanted], root: Path, script: str) -> Iterator[Path]:
    """The file of each picture, in order; one that lies below `root` and fits is not made again.

    The pipeline is loaded only if there is work, and freed by the caller's dropping this iterator.
    """
    backbone, folder = setup.folder.backbone, Folder(root)
    made_from = setup.made_from(script)
    keys = {w.name: sampler.digest(w.text, w.seed, w.settings, *made_from.values()) for w in wanted}
    missing = [w for w in wanted if folder.find(w.name, keys[w.name]) is None]

    def saves() -> Iterator[Callable[[], Any]]:
        pipeline = setup.load()
        # of each prompt once: what varies beside it does not reach the text encoders
        prompts = list({w.id: w for w in missing}.values())
        texts = sampler.encode_all(pipeline, backbone, prompts, missing[0].settings)
        for w in missing:
            began = perf_counter()
            text = texts.get(w.id)
            pixels = sampler.sample(pipeline, backbone, w.text, w.seed, w.settings, text=text)
            seconds = round(perf_counter() - began, 3)
            record = {"prompt": w.text, "seed": w.seed, "settings": asdict(w.settings), **made_from}
            record |= {"device": environment.device(str(setup.device))}
            record |= {"digest": keys[w.name], "seconds": seconds}
            yield partial(folder.save, w.name, pixels, **record)

    lacking, saved = {w.name for w in missing}, one_behind(saves() if missing else ())
    for w in wanted:
        if w.name in lacking:
            next(saved)
        yield folder.image(w.name)
