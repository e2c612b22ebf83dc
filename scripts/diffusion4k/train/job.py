"""Where one segment of a training lies, and how it is carried out."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.train.settings import Settings

# how the work is done, not what is trained: a checkpoint may be resumed with others of these
EXECUTION = {"micro_batch", "gradient_checkpointing", "zero_stage", "offload_optimizer"}


@dataclass(frozen=True)
class Job:
    """One segment of a training: from `start` (None: the base pipeline) until `stop_step`.

    `pipeline`, `latents` and `start` are manifests, and so is `dataset`, whose `folder` holds the
    images of online latents; `output` is the manifest to write, and its bulk goes to the sibling
    folder of its stem.
    """

    pipeline: Path
    latents: tuple[Path, ...]
    start: Path | None
    stop_step: int
    processes: int
    progress_folder: Path
    output: Path
    dataset: Path | None = None
    folder: str = "train"
    attempt: int = 1  # Snakemake's, of this job
    save_every: int = 500
    save_dtype: str | None = None  # of the weights in transformer/; None: the precision's
    time_limit: float | None = None  # seconds
    cache: float = 1e9  # bytes of samples up to which they stay in memory
    workers: int = 4  # of the loader, when samples come from disk

    def __post_init__(self):
        if self.stop_step < 1 or self.save_every < 1:
            raise UserError("--stop-step, --save-every: must be at least 1")

    def inputs(self) -> dict[str, Path]:
        """The manifests that the segment is made from, by name."""
        latents = {f"latents_{index}": path for index, path in enumerate(self.latents)}
        others = {"start": self.start, "dataset": self.dataset}
        given = {name: path for name, path in others.items() if path}
        return {"pipeline": self.pipeline, **latents, **given}

    def key(self, settings: Settings) -> str:
        """Sixteen hex digits for what a checkpoint depends on: the recipe and the inputs' bytes."""
        recipe = {name: value for name, value in asdict(settings).items() if name not in EXECUTION}
        made = {name: manifest.read(path).files for name, path in self.inputs().items()}
        content = {name: [(f.name, f.sha256) for f in files] for name, files in made.items()}
        return hashlib.sha256(json.dumps([recipe, content]).encode()).hexdigest()[:16]
