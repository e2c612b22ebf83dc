"""How far generated images are from the photographs of their prompts; no metric of the paper.

Fine-tuning must bring them closer: a check that it learnt. Both have the evaluation's size, the
photograph upright as in training, and are compared as small pictures. Thumbnails of both
are kept, for which photograph of the whole benchmark is the nearest.
"""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, limits, manifest, shape


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--images", type=Path, required=True, help="manifest of a generated shard")
    flags.add_argument("--dataset", type=Path, required=True, help="manifest of the data set")
    flags.add_argument("--folder", required=True, help="folder inside it, e.g. eval/size_2048")
    flags.add_argument("--size", type=shape.parse, required=True, help="px or HxW, of the images")
    flags.add_argument(
        "--compare-size", type=limits.count, default=64, help="px, side of the comparison"
    )
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    import numpy as np
    from PIL import Image

    from diffusion4k.metrics import inputs, reconstruction, retrieval, scores

    started = time.time()
    source, dataset = manifest.read(args.images), manifest.read(args.dataset)
    pictures = inputs.generated(source, args.size)
    samples = inputs.prompts(dataset, args.folder, pictures)

    def small(image: Image.Image) -> np.ndarray:
        side = (args.compare_size, args.compare_size)
        return np.asarray(image.resize(side, Image.Resampling.BILINEAR))

    compared = []
    for picture in cli.progress(pictures, desc="distance", unit="image"):
        real = inputs.photograph(samples[picture.id].sound(), args.size, upright=True)
        drawn = picture.load()
        error = reconstruction.mse(small(real), small(drawn))
        row = scores.Distance(picture.id, float(error**0.5), reconstruction.psnr(error))
        thumbnails = {"real": retrieval.thumbnail(real), "generated": retrieval.thumbnail(drawn)}
        compared.append((row, thumbnails))
    manifest.write(
        args.output,
        root=args.output.parent,
        files=scores.write_shard(args.output, scores.Distance, compared, ["real", "generated"]),
        inputs={"images": args.images, "dataset": args.dataset},
        settings=vars(args),
        results={"n": len(compared)},
        started=started,
        notes=inputs.notes(source, dataset),
    )


if __name__ == "__main__":
    cli.main(run, parser())
