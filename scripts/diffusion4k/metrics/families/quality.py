"""No-reference quality: MUSIQ and MANIQA, which Table 1 holds against human ratings."""

from diffusion4k.metrics.families import Column, Family, Rated


class Quality(Family):
    """Both by pyiqa, in an environment of its own."""

    def row_type(self, shards=()):
        """MUSIQ (0 to 100), MANIQA (0 to 1)."""
        from diffusion4k.metrics import scores

        return scores.Quality


FAMILY = Quality(
    "quality",
    {
        "musiq": Column("MUSIQ", "higher", 2),
        "maniqa": Column("MANIQA", "higher", 3),
    },
    stage="quality",
    generated=True,
    paired=True,
    rated={"musiq": Rated("musiq"), "maniqa": Rated("maniqa")},
    networks=("musiq", "maniqa"),
)
