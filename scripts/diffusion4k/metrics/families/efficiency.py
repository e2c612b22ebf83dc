"""Memory and seconds of a denoising step (Table 5)."""

from diffusion4k.metrics.families import Column, Family

FAMILY = Family(
    "efficiency",
    {
        "memory_gb": Column(
            "memory (GB)",
            "lower",
            1,
            about="peak of the memory in use: the GPU's, or on a CPU the resident memory of the "
            "whole process",
        ),
        "seconds_per_step": Column(
            "s/step",
            "lower",
            2,
            timed=True,
            about="a denoising step of one picture",
        ),
    },
    rows="efficiency",
    manifest="efficiency/{row}/{evaluation}.json",
    stage="efficiency",
)
