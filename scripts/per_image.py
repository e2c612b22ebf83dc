"""Score each generated image by itself: the columns of one per-image metric family.

A killed job goes on where it stopped. The families are in scripts/diffusion4k/metrics/families.
"""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, digest, manifest, shape
from diffusion4k.errors import UserError
from diffusion4k.metrics import families


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    names = [family.name for family in families.scored_by("per_image")]
    flags.add_argument("--family", required=True, help=", ".join(names) or "none yet")
    flags.add_argument("--images", type=Path, required=True, help="manifest of a generated shard")
    flags.add_argument("--size", type=shape.parse, help="px or HxW; default: as the manifest says")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from diffusion4k.metrics import inputs, scores

    started = time.time()
    family = families.get(args.family)
    if not isinstance(family, families.PerImage):
        raise UserError(f"--family {args.family}: does not score single images")
    source = manifest.read(args.images)
    pictures = inputs.generated(source, args.size)
    code = digest.digest("per_image.py", with_modules=(families.module(family.name),))
    key = scores.key([args.images], family=family.name, size=args.size, code=code)
    saves = scores.SavedScores(args.output, family.row_type(), key)

    def score(picture: inputs.Picture):
        return family.score(picture.id, np.asarray(picture.load()))

    bar = cli.progress(pictures, desc=args.family, unit="image")
    saves.finish(
        [saves.row(picture, score) for picture in bar],
        inputs={"images": args.images},
        settings=vars(args),
        started=started,
        notes=inputs.notes(source),
    )


if __name__ == "__main__":
    cli.main(run, parser())
