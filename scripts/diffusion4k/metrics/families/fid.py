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
        "fid": Column(
            "FID",
            "lower",
            2,
            about="Fréchet distance of Inception features (299 px) to those of the photographs",
        ),
        "fid_clean": Column(
            "FID (clean-fid)",
            "lower",
            2,
            about="FID with clean-fid's antialiased resizing",
        ),
        "kid": Column(
            "KID",
            "lower",
            4,
            about="kernel distance of the same features, without pairs of a picture and its own "
            "photograph",
        ),
        "kid_usual": Column(
            "KID (usual)",
            "lower",
            4,
            about="KID as other papers have it, those pairs among the others",
        ),
        "patch_fid": Column(
            "patch FID",
            "lower",
            2,
            about="FID of crops at full resolution",
        ),
        "patch_kid": Column(
            "patch KID",
            "lower",
            4,
            about="KID of crops at full resolution",
        ),
    },
    stage="features",
    generated=True,
    networks=("inception", "inception_clean"),
    optional=("inception_clean",),
    reference=True,
)
