"""One picture of a prompt by hand, and beside it what made it."""

import argparse
import hashlib
import re
import time
from dataclasses import asdict
from itertools import chain, count
from pathlib import Path

from diffusion4k import cli, images, manifest
from diffusion4k.generate import sampler
from diffusion4k.generate.settings import SamplerSettings
from diffusion4k.generate.setup import Setup


def draw(args: argparse.Namespace, setup: Setup, settings: SamplerSettings) -> Path:
    """The file of the picture of args.prompt, drawn with a bar over its denoising steps.

    PICTURE.json, a manifest, has all settings; the picture itself has no metadata, so that its
    Compression Ratio is that of its pixels.
    """
    started = time.time()
    output = args.output or unused_name(args.prompt, args.seed)
    cli.writable(output)
    pipeline, backbone = setup.load(), setup.folder.backbone
    with cli.progress(total=settings.steps, desc="denoise", unit="step") as bar:
        pixels = sampler.sample(
            pipeline, backbone, args.prompt, args.seed, settings, on_step=bar.update
        )
    save = images.save_png if output.suffix.lower() == ".png" else images.save_jpeg
    save(output, pixels)
    manifest.write(
        output.with_name(f"{output.name}.json"),
        root=output.parent,
        files=[output],
        inputs={"model": args.model},
        settings=vars(args) | asdict(settings) | setup.record(),
        started=started,
        device=str(setup.device),
        notes=setup.folder.notes,
    )
    return output


def unused_name(prompt: str, seed: int) -> Path:
    """A new picture's name: the prompt's words, or a checksum where it has none; counted up."""
    words = re.sub(r"\W+", "-", prompt.lower()).strip("-")[:60]
    words = words or f"prompt-{hashlib.sha256(prompt.encode()).hexdigest()[:8]}"
    numbers = chain([""], (f"-{n}" for n in count(2)))
    names = (Path(f"{words}-seed{seed}{number}.jpg") for number in numbers)
    return next(name for name in names if not name.exists())
