"""GLCM Score and Compression Ratio of generated images: a row an image (Tables 4, 6 and 8).

Both are of the JPEG as it lies there, decoded. Run again after a kill and it goes on.
"""

import argparse
import time
from functools import partial
from pathlib import Path

from diffusion4k import cli, limits, manifest, shape


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--images", type=Path, required=True, help="manifest of a generated shard")
    flags.add_argument("--size", type=shape.parse, help="px or HxW; default: as the manifest says")
    flags.add_argument("--patch", type=limits.count, default=64, help="px, side of a GLCM patch")
    flags.add_argument("--levels", type=limits.count, default=64, help="grey levels")
    flags.add_argument("--distances", type=limits.count, nargs="+", default=[1, 2, 3, 4], help="px")
    flags.add_argument(
        "--angles", type=limits.finite, nargs="+", default=[0, 45, 90, 135], help="degrees"
    )
    flags.add_argument(
        "--properties",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="also contrast, dissimilarity, homogeneity, energy, correlation and ASM",
    )
    flags.add_argument("--workers", type=limits.count, default=cli.threads(), help="processes")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.metrics import glcm, inputs, scores

    started = time.time()
    source = manifest.read(args.images)
    pictures = inputs.generated(source, args.size)
    matrices = glcm.Matrices(args.patch, args.levels, tuple(args.distances), tuple(args.angles))
    kind = scores.TextureProperties if args.properties else scores.Texture
    deciding = {"size": args.size, "matrices": matrices, "properties": args.properties}
    key = scores.key([args.images], **deciding)
    saves = scores.SavedScores(args.output, kind, key)

    score = partial(score_one, matrices=matrices, properties=args.properties, kind=kind)
    coming = cli.parallel(partial(saves.row, score=score), pictures, args.workers)
    saves.finish(
        list(cli.progress(coming, total=len(pictures), desc="texture", unit="image")),
        inputs={"images": args.images},
        settings=vars(args),
        started=started,
        notes=inputs.notes(source),
    )


def score_one(picture, *, matrices, properties: bool, kind: type):
    """The row of one picture."""
    import numpy as np

    from diffusion4k.metrics import compression, glcm

    grey = glcm.grey(np.asarray(picture.load()))
    textures = glcm.score(grey, matrices, properties=properties)
    return kind(picture.id, *compression.sizes(picture.path), **textures)


if __name__ == "__main__":
    cli.main(run, parser())
