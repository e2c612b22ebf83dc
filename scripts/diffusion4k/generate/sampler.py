"""One picture a pipeline call, from a seed on the CPU; a folder of them that resumes.

Reproduces the released sampling and evaluation scripts. The noise comes from a CPU generator and
the batch is 1, so that a picture depends on model, prompt, seed and settings only.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffusion4k.errors import UserError
from diffusion4k.files import sha256, write_text
from diffusion4k.images import save_jpeg, save_png
from diffusion4k.metadata import Sample

WRITERS = {"jpg": save_jpeg, "png": save_png}


@dataclass(frozen=True)
class Settings:
    """How to sample: height and width in px, both multiples of 32 (a token is 32 x 32 px)."""

    height: int
    width: int
    steps: int
    guidance: float
    t5_tokens: int
    negative_prompt: str = ""

    def __post_init__(self):
        for name in ("height", "width"):
            value = getattr(self, name)
            if value < 32 or value % 32:
                near = max(32, round(value / 32) * 32)
                raise UserError(f"--{name} {value}: must be a multiple of 32 px, such as {near}")
        if self.steps < 1:
            raise UserError(f"--steps {self.steps}: must be at least 1")
        if not 1 <= self.t5_tokens <= 512:
            raise UserError(f"--t5-tokens {self.t5_tokens}: must be from 1 to 512")


def check_size(pipeline, settings: Settings) -> None:
    """UserError for a picture beyond the transformer's table of positions (SD3 has one)."""
    config = pipeline.transformer.config
    most = getattr(config, "pos_embed_max_size", None)
    if most is None:
        return
    limit = most * config.patch_size * pipeline.vae_scale_factor
    for name in ("height", "width"):
        if getattr(settings, name) > limit:
            value = getattr(settings, name)
            raise UserError(f"--{name} {value}: this model has positions for {limit} px at most")


@torch.no_grad()
def sample(
    pipeline,
    backbone,
    prompt: str,
    seed: int,
    settings: Settings,
    on_step: Callable[[], None] | None = None,
) -> np.ndarray:
    """One picture of `prompt`: uint8 HWC, `settings.height` x `settings.width`.

    `on_step` is called after each denoising step. UserError when the GPU's memory is too small.
    """

    def callback(_pipeline, _step, _timestep, tensors):
        on_step()
        return tensors

    check_size(pipeline, settings)
    try:
        picture = pipeline(
            prompt,
            height=settings.height,
            width=settings.width,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            generator=torch.Generator("cpu").manual_seed(seed),
            callback_on_step_end=callback if on_step else None,
            **backbone.call_arguments(
                t5_tokens=settings.t5_tokens, negative_prompt=settings.negative_prompt
            ),
        ).images[0]
    except torch.cuda.OutOfMemoryError:
        raise UserError(
            f"the GPU's memory is too small for {settings.height} x {settings.width} px in "
            f"{pipeline.dtype}; try --offload, --dtype bfloat16, or a smaller --height and --width"
        ) from None
    pixels = np.asarray(picture)
    if pixels.shape != (settings.height, settings.width, 3):
        raise UserError(f"the pipeline made a picture of {pixels.shape[:2]} px; is its VAE F16?")
    return pixels


@dataclass(frozen=True)
class Picture:
    """A picture in the folder; `seconds` is what making it took, whenever that was."""

    path: Path
    seconds: float


class Folder:
    """The pictures of one model and evaluation: images/<id>.jpg, and receipts/<id>.json.

    A receipt holds the digest of everything the picture was made from and the SHA-256 of the file
    itself. The shards share the folder; a picture whose receipt does not fit is made again.
    """

    def __init__(self, root: str | Path, *, format: str):
        self.root = Path(root)
        self.format = format

    def image(self, id: str) -> Path:
        return self.root / "images" / f"{id}.{self.format}"

    def receipt(self, id: str) -> Path:
        return self.root / "receipts" / f"{id}.json"

    def find(self, id: str, digest: str) -> Picture | None:
        """The picture of `id`, if it lies there unchanged and was made with this digest."""
        try:
            receipt = json.loads(self.receipt(id).read_text(encoding="utf-8"))
            if receipt["settings"] == digest and receipt["sha256"] == sha256(self.image(id)):
                return Picture(self.image(id), receipt["seconds"])
        except (OSError, ValueError, TypeError, KeyError):
            pass
        return None

    def save(self, id: str, pixels: np.ndarray, *, digest: str, seconds: float) -> Picture:
        """Write a picture and its receipt; each atomically, and only together do they count."""
        WRITERS[self.format](self.image(id), pixels)
        receipt = {"settings": digest, "sha256": sha256(self.image(id)), "seconds": seconds}
        write_text(self.receipt(id), json.dumps(receipt) + "\n")
        return Picture(self.image(id), seconds)


def digest(prompt: str, seed: int, settings: Settings, *others: str) -> str:
    """16 hex digits for what a picture is made from; `others`: model, code, dtype, forms."""
    record = json.dumps([prompt, seed, asdict(settings), *others])
    return hashlib.sha256(record.encode()).hexdigest()[:16]


def sample_all(
    load: Callable[[], Any],
    backbone,
    prompts: Iterable[Sample],
    folder: Folder,
    *,
    settings: Settings,
    seed_of: Callable[[str], int],
    made_from: tuple[str, ...],
) -> Iterator[Picture]:
    """The picture of each prompt, in order; those that lie in `folder` and fit are not made again.

    `load` gives the pipeline and is called only if there is work; `seed_of` maps a prompt's id to
    its seed; `made_from` are the further texts of the digest.
    """
    pipeline = None
    for prompt in prompts:
        seed = seed_of(prompt.id)
        key = digest(prompt.text, seed, settings, *made_from)
        picture = folder.find(prompt.id, key)
        if picture is None:
            pipeline = pipeline or load()
            started = time.perf_counter()
            pixels = sample(pipeline, backbone, prompt.text, seed, settings)
            seconds = round(time.perf_counter() - started, 3)
            picture = folder.save(prompt.id, pixels, digest=key, seconds=seconds)
        yield picture
