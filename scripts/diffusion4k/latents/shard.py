"""One shard of an encoded training set: its samples, and what each of them is made from.

All that decides a stored sample is reached from here; scripts/latents.py is its command line.
"""

from collections.abc import Iterator
from pathlib import Path

import torch

from diffusion4k import backbones, device
from diffusion4k.data import captions, shards
from diffusion4k.errors import UserError
from diffusion4k.latents import encode
from diffusion4k.manifest import Manifest
from diffusion4k.pipelines.folder import PipelineFolder

CODE = "diffusion4k/latents/shard.py"  # of the rule's digest, and of each sample's


def encode_shard(
    pipeline: PipelineFolder,
    dataset: Manifest,
    target: Path,
    settings: encode.LatentsSettings,
    *,
    folder: str,
    shard: int,
    shards_in_all: int,
    device_name: str,
    workers: int,
) -> tuple[int, Iterator[tuple[Path, bool]]]:
    """How many files the shard has, and each of them as it is there, with whether it is new.

    `folder` is that of the data set with the images; `target` is where the samples lie. UserError
    for a pipeline of another class than the backbone's.
    """
    backbone = backbones.get(settings.backbone)
    if pipeline.class_name != backbone.class_name:
        raise UserError(f"{pipeline.root}: not a pipeline of the backbone {settings.backbone}")
    samples = shards.shard(captions.of(dataset, folder), shard, shards_in_all)
    made_from = pipeline.fingerprint(transformer=False), pipeline.code(CODE)
    work = ((s, settings.digest(s, s.listed.sha256, *made_from)) for s in samples)

    def load():
        return pipeline.load(
            dtype=getattr(torch, settings.dtype),
            device=device.choose(device_name),
            forms=pipeline.forms(encoder=settings.encoder),
            without_transformer=True,
        )

    files = encode.encode(load, backbone, work, target, settings=settings, workers=workers)
    return len(samples) * settings.stored, files
