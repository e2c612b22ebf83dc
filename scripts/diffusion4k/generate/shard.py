"""One shard of an evaluation's pictures: its prompts, their seeds, and what each is made from.

All that decides a picture is reached from here; scripts/generate.py is its command line.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from diffusion4k.data import captions, shards
from diffusion4k.generate import sampler, seeds
from diffusion4k.generate.folder import Folder, Picture
from diffusion4k.generate.settings import SamplerSettings
from diffusion4k.generate.setup import Setup
from diffusion4k.manifest import Manifest

CODE = "diffusion4k/generate/shard.py"  # of the rule's digest, and of each picture's


def draw_shard(
    setup: Setup,
    dataset: Manifest,
    target: Path,
    settings: SamplerSettings,
    *,
    folder: str,
    shard: int,
    shards_in_all: int,
    seed: int,
    seed_policy: str,
    png: bool,
) -> tuple[list[str], Folder, Iterator[Picture]]:
    """The ids of the shard's prompts, where their pictures lie, and each of them as it is there.

    `folder` is that of the data set with the prompts; pictures and receipts lie below `target`.
    """
    prompts = shards.shard(captions.of(dataset, folder), shard, shards_in_all)
    pictures = Folder(target, png=png)
    drawn = sampler.sample_all(
        setup.load,
        setup.folder.backbone,
        prompts,
        pictures,
        settings=settings,
        seed_of=partial(seeds.image_seed, seed_policy, seed),
        made_from=setup.made_from(CODE),
    )
    return [prompt.id for prompt in prompts], pictures, drawn
