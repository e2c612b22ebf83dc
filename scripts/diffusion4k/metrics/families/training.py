"""What training took (Table 10), from the manifest of its last step."""

from diffusion4k.metrics.families import Column, Family

FAMILY = Family(
    "training",
    {
        "images_per_second": Column("images/s", "higher", 2, timed=True),
        "steps": Column("steps", "none", 0, metric="step", exact=True),
    },
    manifest="train/{row}/step-{last_step}.json",
    stage="train",
)
