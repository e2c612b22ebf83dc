"""Memory and seconds of a denoising step (Table 5)."""

from diffusion4k.metrics.families import Column, Family

FAMILY = Family(
    "efficiency",
    {
        "memory_gb": Column("memory (GB)", "lower", 1),
        "seconds_per_step": Column("s/step", "lower", 2, timed=True),
    },
    rows="efficiency",
    manifest="efficiency/{row}/{evaluation}.json",
    stage="efficiency",
)
