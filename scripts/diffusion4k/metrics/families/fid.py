"""Distances between the sets of generated images and of photographs, of the feature pass."""

from diffusion4k.errors import UserError
from diffusion4k.metrics.families import Column, Family


class Distances(Family):
    """FID as published and as clean-fid has it, KID, the same of crops, and their floors.

    kid leaves out a picture and its own prompt's photograph, kid_usual counts them as others do.
    """

    def row_type(self, shards=()):
        """The rows of the feature pass, which name the images."""
        from diffusion4k.metrics import scores

        return scores.Alignment

    def aggregate(self, shards, *, reference=(), expected, seed=0):
        """Of generated against real images."""
        from diffusion4k.metrics import aggregate

        if not reference:
            raise UserError("--family fid: give the photographs' features by --reference")
        return aggregate.fid(shards, reference, expected=expected, seed=seed)


FAMILY = Distances(
    "fid",
    {
        "fid": Column("FID", "lower", 2),
        "fid_clean": Column("FID (clean-fid)", "lower", 2),
        "kid": Column("KID", "lower", 4),
        "kid_usual": Column("KID (usual)", "lower", 4),
        "patch_fid": Column("patch FID", "lower", 2),
        "patch_kid": Column("patch KID", "lower", 4),
    },
    stage="features",
    generated=True,
    networks=("inception", "inception_clean"),
    optional=("inception_clean",),
)
