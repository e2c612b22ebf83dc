"""What others published on these benchmarks and nothing here measures: columns of context rows.

Their own protocols, in no detail known here: a column of theirs is not one of ours under another
name (`clip` is no `clipscore`, `fid_patch` no `patch_fid`).
"""

from diffusion4k.metrics.families import Column, Family

FAMILY = Family(
    "elsewhere",
    {
        "fid_patch": Column("patch FID (theirs)", "lower", 2),
        "clip": Column("CLIP (theirs)", "higher", 2),
        "fg_clip": Column("FG-CLIP", "higher", 2),
        "hpsv3": Column("HPSv3", "higher", 2),
        "pickscore": Column("PickScore", "higher", 2),
        "artimuse": Column("ArtiMuse", "higher", 2),
        "q_align": Column("Q-Align", "higher", 2),
        "seconds_per_image": Column("s/image", "lower", 1),
    },
    manifest="",
)
