"""Generated pictures against the benchmark's photographs, pixel by pixel; not in the paper."""

from diffusion4k.metrics.families import Column, Family


class Distance(Family):
    """RMSE in [0, 1], PSNR in dB, and whether no photograph is nearer than the prompt's own."""

    def row_type(self, shards=()):
        """RMSE and PSNR of one image."""
        from diffusion4k.metrics import scores

        return scores.Distance

    def derive(self, columns, shards):
        """`retrieval`: 1 where the nearest photograph is the prompt's own, else 0."""
        from diffusion4k.metrics import retrieval, scores

        thumbnails = [scores.read_features(shards, name) for name in ("generated", "real")]
        columns["retrieval"] = retrieval.retrieved(*thumbnails).astype(float)


FAMILY = Distance(
    "distance",
    {
        "rmse": Column(
            "RMSE",
            "lower",
            3,
            about="root of the mean squared error to the prompt's photograph, both resized to 64 "
            "px, of values in 0 to 1",
        ),
        "distance_psnr": Column(
            "PSNR (dB)",
            "higher",
            2,
            metric="psnr",
            about="peak signal-to-noise ratio to the prompt's photograph, both resized to 64 px",
        ),
        "retrieval": Column(
            "nearest is own",
            "higher",
            2,
            about="share of pictures to which, at 16 px, no photograph is nearer than their own "
            "prompt's",
        ),
    },
    stage="distance",
    generated=True,
    paired=True,
)
