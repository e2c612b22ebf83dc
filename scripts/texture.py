"""GLCM Score and Compression Ratio of generated images: a row an image (Tables 4, 6 and 8).

Both are of the JPEG as it lies there, decoded. Run again after a kill and it goes on.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from diffusion4k import cli, manifest


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--images", type=Path, required=True, help="manifest of a generated shard")
    flags.add_argument("--size", type=int, help="px; default: what the manifest says was asked")
    flags.add_argument("--threads", type=int, default=cli.threads(), help="images at a time")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from diffusion4k.metrics import compression, glcm, inputs, scores

    started = time.time()
    source = manifest.read(args.images)
    pictures = inputs.generated(source, args.size)
    key = scores.key([args.images], size=args.size)
    progress = scores.Progress(args.output, scores.Texture, key)

    def score(picture: inputs.Picture) -> scores.Texture:
        if saved := progress.get(picture.id):
            return saved[0]
        grey = glcm.grey(np.asarray(picture.load()))
        published, haralick = glcm.score(grey)
        row = scores.Texture(picture.id, *compression.sizes(picture.path), published, haralick)
        progress.put(row)
        return row

    with ThreadPoolExecutor(max(args.threads, 1)) as pool:
        scored = pool.map(score, pictures)
        rows = list(cli.progress(scored, total=len(pictures), desc="texture", unit="image"))
    bulk = args.output.with_suffix(".parquet")
    scores.write_rows(bulk, scores.Texture, rows)
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[bulk],
        inputs={"images": args.images},
        settings=vars(args),
        results={"n": len(rows)},
        started=started,
        notes=inputs.notes(source),
    )
    progress.finish()


if __name__ == "__main__":
    cli.main(run, parser())
