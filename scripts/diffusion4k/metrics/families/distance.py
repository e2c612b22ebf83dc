"""Generated pictures against their prompts' photographs, pixel by pixel; not in the paper."""

from diffusion4k.metrics.families import Column, Family


class Distance(Family):
    """RMSE in [0, 1] and PSNR in dB."""

    def row_type(self, shards=()):
        """Both of one image."""
        from diffusion4k.metrics import scores

        return scores.Distance


FAMILY = Distance(
    "distance",
    {
        "rmse": Column("RMSE", "lower", 3),
        "distance_psnr": Column("PSNR (dB)", "higher", 2, metric="psnr"),
    },
    stage="distance",
    generated=True,
    paired=True,
)
