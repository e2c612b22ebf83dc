"""Where one segment of a training lies, and how it is carried out."""

import argparse
import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from diffusion4k import cli, limits, manifest
from diffusion4k.errors import UserError

# how the work is done, not what is trained: a checkpoint may be resumed with others of these
EXECUTION = {"micro_batch", "gradient_checkpointing", "keep_attention", "compile"}
EXECUTION |= {"attention", "zero_stage", "offload_optimizer", "deterministic"}


@dataclass(frozen=True)
class Job:
    """One segment of a training: from `start` (None: the base pipeline) until `stop_step`.

    `pipeline`, `latents` and `start` are manifests, and so is `dataset`, whose `folder` holds the
    images of online latents; a VAE is trained on those of `dataset` that `images` lists, with the
    network `vgg16`. `output` is the manifest to write, and its bulk goes to the sibling folder of
    its stem.
    """

    pipeline: Path
    start: Path | None
    stop_step: int
    processes: int
    progress_folder: Path
    output: Path
    latents: tuple[Path, ...] = ()
    dataset: Path | None = None
    images: Path | None = None
    vgg16: Path | None = None
    folder: str = "train"
    attempt: int = 1  # Snakemake's, of this job
    save_every: int | timedelta = 500  # steps, or the time between two saves
    save_dtype: str | None = None  # of the weights in transformer/; None: the precision's
    time_limit: float | None = None  # seconds
    cache: float = 1e9  # bytes of samples up to which they stay in memory
    workers: int = 4  # of the loader, when samples come from disk

    def __post_init__(self):
        if self.stop_step < 1:
            raise UserError("--stop-step: must be at least 1")

    def save_is_due(self, step: int, since: float) -> bool:
        """Whether to save after `step` steps, `since` seconds after the last save (or the start).

        By time, the clocks of processes differ: the answer of one of them must do for all.
        """
        if isinstance(self.save_every, timedelta):
            return since >= self.save_every.total_seconds()
        return step % self.save_every == 0

    def inputs(self) -> dict[str, Path]:
        """The manifests that the segment is made from, by name."""
        latents = {f"latents_{index}": path for index, path in enumerate(self.latents)}
        others = {"start": self.start, "dataset": self.dataset}
        others |= {"images": self.images, "vgg16": self.vgg16}
        given = {name: path for name, path in others.items() if path}
        return {"pipeline": self.pipeline, **latents, **given}

    def start_notes(self) -> list[str]:
        """What the segment before is to be said of; this one rests on it."""
        return manifest.read(self.start).notes if self.start else []

    def key(self, settings: Any) -> str:
        """Sixteen hex digits for what a checkpoint depends on: the recipe and the inputs' bytes.

        Files that are measured decide nothing and differ when `start` is made again.
        """
        recipe = {name: value for name, value in asdict(settings).items() if name not in EXECUTION}
        listed = {name: manifest.read(path).files for name, path in self.inputs().items()}
        content = {
            name: [(f.name, f.sha256) for f in files if not f.measured]
            for name, files in listed.items()
        }
        return hashlib.sha256(json.dumps([recipe, content]).encode()).hexdigest()[:16]


def pace(text: str) -> int | timedelta:
    """Steps (`250`) or a time (`30min`, `0.5min`), more than nothing."""
    steps, minutes = re.fullmatch(r"[1-9]\d*", text), re.fullmatch(r"(\d*\.?\d+)min", text)
    if steps:
        return int(text)
    if minutes and (time := timedelta(minutes=float(minutes[1]))):
        return time
    raise argparse.ArgumentTypeError(f"{text!r} is neither a number of steps nor minutes, 30min")


def add_arguments(group) -> None:
    """The flags of a job that every training has."""
    group.add_argument("--start", type=Path, help="manifest of the step to go on from")
    group.add_argument(
        "--stop-step", type=limits.count, required=True, help="train until this step"
    )
    group.add_argument("--processes", type=limits.count, default=1, help="as launched; a check")
    group.add_argument("--save-every", type=pace, default="500", metavar="STEPS",
                       help="what a kill loses at most; a time as 30min")  # fmt: skip
    group.add_argument(
        "--time-limit", type=limits.positive, metavar="MINUTES", help="then save and exit 75"
    )
    group.add_argument("--workers", type=limits.natural, default=min(4, cli.threads()),
                       help="loading processes, for images or larger latents")  # fmt: skip
    group.add_argument("--attempt", type=limits.count, default=1,
                       help="Snakemake's; 1 forgets past failures")  # fmt: skip
    group.add_argument("--progress-folder", type=Path, required=True,
                       help="checkpoints, TensorBoard")  # fmt: skip
    group.add_argument("--output", type=Path, required=True, help="manifest, step-<step>.json")


def from_arguments(args: argparse.Namespace) -> Job:
    """The job that the flags give."""
    values = {f.name: getattr(args, f.name) for f in fields(Job) if hasattr(args, f.name)}
    minutes = values["time_limit"]
    return Job(**values | {"time_limit": minutes and minutes * 60})
