"""Any other text-to-image pipeline of diffusers, as it is: sampled, never trained.

No F16 surgery and no setting of ours: what the pipeline's call does not take is not passed, and
what nobody sets is the pipeline's own default.
"""

import inspect
from pathlib import Path
from typing import Any

import diffusers

from diffusion4k.errors import OTHER_CODE, UserError

NEEDED = ("prompt", "height", "width", "generator")
OURS = {"steps": "num_inference_steps", "guidance": "guidance_scale"}
OURS |= {"t5_tokens": "max_sequence_length"}


class Stock:
    """A pipeline class of diffusers; UserError for a name that is none or makes no pictures."""

    name = "stock"
    multiple = 8  # of every VAE; once loaded, the pipeline's own factor and patch count

    def __init__(self, class_name: str):
        pipeline_class = getattr(diffusers, class_name, None)
        if not inspect.isclass(pipeline_class):
            version = diffusers.__version__
            raise UserError(
                f"a pipeline of class {class_name}, which diffusers {version} does not have;"
                f" {OTHER_CODE}"
            )
        self.class_name = class_name
        self.takes = inspect.signature(pipeline_class.__call__).parameters
        if lacking := [name for name in NEEDED if name not in self.takes]:
            raise UserError(
                f"{class_name} takes no {', '.join(lacking)}; it cannot be sampled here"
            )
        taken = {ours: theirs for ours, theirs in OURS.items() if theirs in self.takes}
        self.defaults = {ours: self.takes[theirs].default for ours, theirs in taken.items()}

    def load(self, root: Path, **options):
        """The pipeline in `root`; `options`: arguments of diffusers' `from_pretrained`."""
        pipeline_class = getattr(diffusers, self.class_name)
        return pipeline_class.from_pretrained(root, **options)

    def call_arguments(self, *, t5_tokens: int | None, negative_prompt: str) -> dict[str, Any]:
        """Those of the pipeline's further arguments that it takes and that are set."""
        if negative_prompt and "negative_prompt" not in self.takes:
            raise UserError(f"{self.class_name} takes no negative prompt; leave it out")
        wanted = {
            "max_sequence_length": t5_tokens,
            "negative_prompt": negative_prompt or None,
            # a picture is what the model draws at the size asked, not one resized to it
            "use_resolution_binning": False,
            # cleaning depends on packages that may or may not be there
            "clean_caption": False,
        }
        return {k: v for k, v in wanted.items() if k in self.takes and v is not None}
