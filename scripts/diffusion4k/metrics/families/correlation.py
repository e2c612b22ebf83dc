"""How metrics agree with human ratings (Table 1), whose rows are the metrics themselves."""

from diffusion4k.metrics.families import Column, Family

FAMILY = Family(
    "correlation",
    {
        "srcc": Column("SRCC", "higher", 2, interval=True),
        "plcc": Column("PLCC", "higher", 2, interval=True),
    },
    rows="ratings",
    manifest="metrics/ratings/{row}.json",
    stage="correlate",
)
