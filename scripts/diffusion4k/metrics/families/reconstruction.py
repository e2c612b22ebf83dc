"""What VAEs make of photographs (Table 2)."""

from diffusion4k.metrics.families import Column, Family


class Reconstruction(Family):
    """rFID of the sets and of their crops, and the pairs' means."""

    def row_type(self, shards=()):
        """A photograph against its reconstruction."""
        from diffusion4k.metrics import scores

        return scores.Reconstruction

    def aggregate(self, shards, *, reference=(), expected, seed=0):
        """Of all pairs."""
        from diffusion4k.metrics import aggregate

        return aggregate.reconstruction(shards, expected=expected, seed=seed)


FAMILY = Reconstruction(
    "reconstruction",
    {
        "rfid": Column(
            "rFID",
            "lower",
            2,
            about="FID of reconstructions to their photographs",
        ),
        "patch_rfid": Column(
            "patch rFID",
            "lower",
            2,
            about="rFID of crops at full resolution",
        ),
        "nmse": Column(
            "NMSE",
            "lower",
            5,
            about="squared error over the photograph's squared values",
        ),
        "root_nmse": Column(
            "root NMSE",
            "lower",
            3,
            about="root of NMSE",
        ),
        "psnr": Column("PSNR (dB)", "higher", 2),
        "ssim": Column("SSIM", "higher", 2),
        "lpips": Column(
            "LPIPS",
            "lower",
            3,
            about="perceptual distance by VGG-16",
        ),
    },
    rows="vaes",
    manifest="vae/{row}/reconstruction.json",
    stage="reconstruct",
    networks=("inception", "vgg16"),
)
