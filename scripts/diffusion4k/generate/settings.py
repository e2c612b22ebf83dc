"""How a picture is sampled: its size, and what of the sampler is chosen or left to the pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass

from diffusion4k.errors import UserError
from diffusion4k.limits import T5_TOKENS


@dataclass(frozen=True)
class SamplerSettings:
    """How to sample: height and width in px; None leaves the pipeline's own default."""

    height: int
    width: int
    steps: int | None
    guidance: float | None
    t5_tokens: int | None
    negative_prompt: str = ""

    def __post_init__(self):
        if self.steps is not None and self.steps < 1:
            raise UserError(f"--steps {self.steps}: must be at least 1")
        if self.t5_tokens is not None and not 1 <= self.t5_tokens <= T5_TOKENS:
            raise UserError(f"--t5-tokens {self.t5_tokens}: must be from 1 to {T5_TOKENS}")

    def check_sides(self, multiple: int) -> None:
        """UserError unless both sides are multiples of so many px."""
        for name in ("height", "width"):
            value = getattr(self, name)
            if value < 32 or value % multiple:
                near = max(32, round(value / multiple) * multiple)
                raise UserError(
                    f"--{name} {value}: must be a multiple of {multiple} px, such as {near}"
                )


Choices = Mapping[str, float | int | None]  # steps, guidance, t5_tokens


def choose(backbone, given: Choices, of_class: Mapping[str, Choices], **others) -> SamplerSettings:
    """Settings of a pipeline: as `given`, else as `of_class` says of its kind, else by default.

    `backbone`: what the sampler knows of the pipeline (backbones.base.Sampled); `of_class`: its
    name => other defaults; `others`: the settings that have none. UserError for what the pipeline
    does not take, so that a wrong combination fails before the models are loaded.
    """
    for name, value in given.items():
        if value is not None and name not in backbone.defaults:
            flag = "--" + name.replace("_", "-")
            raise UserError(f"{flag}: {backbone.class_name} takes none; leave it out")
    defaults = backbone.defaults | of_class.get(backbone.name, {})
    chosen = {k: defaults.get(k) if v is None else v for k, v in given.items()}
    settings = SamplerSettings(**chosen, **others)
    settings.check_sides(backbone.multiple)
    backbone.call_arguments(t5_tokens=settings.t5_tokens, negative_prompt=settings.negative_prompt)
    return settings
