"""GLCM Score and Compression Ratio, of the generated JPEGs (paper section 4, Tables 4 and 8)."""

from diffusion4k.metrics.families import Column, Family, Rated, means


class Texture(Family):
    """glcm is the released entropy of the value histogram, glcm_entropy the matrix's.

    cr is the paper's ratio of sums, cr_mean the mean of the images' own ratios.
    """

    def row_type(self, shards=()):
        """With the other properties of the matrices where they were asked for."""
        from diffusion4k.metrics import scores

        detailed = any(shard.settings.get("properties") for shard in shards)
        return scores.TextureProperties if detailed else scores.Texture

    def derive(self, columns, shards):
        """`raw`, the bytes of the pixels, and each image's own `ratio`."""
        columns["raw"] = columns["height"] * columns["width"] * 3
        columns["ratio"] = columns["raw"] / columns["bytes"]

    def statistics(self, columns):
        """The means, and the ratio of sums."""
        from diffusion4k.metrics import compression, scores

        names = {"glcm": "glcm", "glcm_entropy": "glcm_entropy", "cr_mean": "ratio"}
        names |= {name: name for name in scores.PROPERTIES if name in columns}
        return means(names) | {"cr": (compression.ratio, ["raw", "bytes"])}


FAMILY = Texture(
    "texture",
    {
        "glcm": Column(
            "GLCM Score",
            "higher",
            2,
            corrected=("metrics.glcm_choice", "glcm_entropy"),
            about="entropy of the histogram of the values of the grey-level co-occurrence "
            "matrix of each patch: the released definition",
        ),
        "glcm_entropy": Column(
            "GLCM entropy (bits)",
            "higher",
            2,
            about="entropy of the grey-level co-occurrence matrix itself",
        ),
        "cr": Column(
            "Compression Ratio",
            "lower",
            2,
            about="bytes of the raw pictures over those of their JPEGs",
        ),
        "cr_mean": Column(
            "mean of ratios",
            "lower",
            2,
            about="Compression Ratio of each picture, mean over pictures",
        ),
    },
    stage="texture",
    generated=True,
    paired=True,
    rated={
        "glcm": Rated("glcm", corrected=("metrics.glcm_choice", "glcm_entropy")),
        "cr": Rated("cr_mean", sign=-1),
    },
)
