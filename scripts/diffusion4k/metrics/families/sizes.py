"""Heights and widths of the images of splits (Table 9), from the check of the data."""

from diffusion4k.metrics.families import Column, Family

FAMILY = Family(
    "sizes",
    {
        "median_height": Column("median height", "none", 0, exact=True),
        "median_width": Column("median width", "none", 0, exact=True),
        "mean_height": Column("mean height", "none", 0, exact=True),
        "mean_width": Column("mean width", "none", 0, exact=True),
    },
    rows="splits",
    manifest="data/{row}.json",
    stage="check",
)
