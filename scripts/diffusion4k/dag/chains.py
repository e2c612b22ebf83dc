"""A training as a chain of segments, one job each: what fine-tuning and a VAE's training share."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusion4k.config.resolve import Config
from diffusion4k.dag import code
from diffusion4k.dag.paths import file, root


@dataclass(frozen=True)
class Chain:
    """A kind of training: the rule of its jobs, which is its script's name and its resources' too.

    `section` of the configuration has steps, segment and keep; `wildcard` is what a job calls the
    thing that is trained, `folder` where it lies, {name} in it; `recipe` gives a configuration's
    flags that decide the weights, a function of the wildcards; `code` the module from which all
    that decides them is reached.
    """

    rule: str
    section: str
    wildcard: str
    folder: str
    recipe: Callable[[Config], Callable[[Any], str]]
    code: str

    def segments(self, config: Config) -> list[int]:
        """The last step of each segment."""
        steps, segment = (config[self.section][key] for key in ("steps", "segment"))
        return [*range(segment, steps, segment), steps]

    def kept(self, config: Config) -> list[int]:
        """The segments whose state is kept: the last, and those that the configuration names."""
        own = config[self.section]
        return [s for s in self.segments(config) if s == own["steps"] or s in own["keep"]]

    def kept_steps(self, config: Config) -> list[str]:
        """The kept segments' last steps, as they stand in file names."""
        return [f"{step:06d}" for step in self.kept(config)]

    def other_steps(self, config: Config) -> list[str]:
        """Those of the segments whose state is deleted once the next has it."""
        kept = self.kept(config)
        return [f"{step:06d}" for step in self.segments(config) if step not in kept]

    def step_file(self, config: Config, name: str, step: int) -> str:
        """The manifest of a segment's end."""
        return file(config, f"{self.folder.format(name=name)}/step-{step:06d}.json")

    def last_step(self, config: Config, name: str) -> str:
        """The manifest of a training's end."""
        return self.step_file(config, name, self.segments(config)[-1])

    def start(self, config: Config, wildcards) -> dict[str, str]:
        """What a segment goes on from; the first segment starts from the pipeline itself.

        The state's folder is named beside its manifest, or Snakemake would take the temporary
        folder for unused and delete it.
        """
        before = [step for step in self.segments(config) if step < int(wildcards.step)]
        if not before:
            return {}
        manifest = self.step_file(config, getattr(wildcards, self.wildcard), before[-1])
        return {"start": manifest, "state": manifest.removesuffix(".json")}

    def progress_folder(self, config: Config, wildcards) -> str:
        """Where a segment saves while it runs, named after all that decides its weights."""
        text = self.recipe(config)(wildcards) + code.of_job(config, self.code)(wildcards)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        name = getattr(wildcards, self.wildcard)
        folder = self.folder.format(name=name)
        return f"{root(config)}/{folder}/progress/{key}-{wildcards.step}"

    def ended_slots(self, config: Config, wildcards) -> int:
        """How many of a segment's attempts ended as planned, saved (diffusion4k/progress.py)."""
        try:
            folder = Path(self.progress_folder(config, wildcards))
            progress = (folder / "progress.json").read_text("utf-8")
            return json.loads(progress).get("slots", 0)
        except (OSError, ValueError):
            return 0
