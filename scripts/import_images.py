"""Take a folder of finished images as a generated set: the same manifests, so every metric runs.

  python scripts/import_images.py --images my/pictures --dataset …/aesthetic_4k.json \\
      --folder eval/size_4096 --size 4096 --output results/paper/generate/mine/eval_4096/shard.json

Images are named after the prompts' ids (the stem of the prompt's file_name). If any is missing or
wrong, all that are wrong are listed beside the output, and nothing is taken.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from diffusion4k import cli, limits, manifest, shape
from diffusion4k.data import captions, shards
from diffusion4k.errors import UserError


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("--images", type=Path, required=True, help="folder with <id>.jpg, .png, …")
    flags.add_argument("--dataset", type=Path, required=True, help="manifest of the prompts' data")
    flags.add_argument("--folder", required=True, help="folder in it, e.g. eval/size_2048")
    flags.add_argument("--size", type=shape.parse, required=True, help="px or HxW")
    flags.add_argument(
        "--png",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="keep what is no JPEG as a lossless PNG too",
    )
    flags.add_argument(
        "--threads", type=limits.count, default=cli.threads(), help="images at a time"
    )
    flags.add_argument(
        "--output", type=Path, nargs="+", required=True,
        help="manifests to write, one a shard; the images lie in images/ beside them",
    )  # fmt: skip
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.data import jpeg
    from diffusion4k.generate import own_images

    started = time.time()
    if not args.images.is_dir():
        raise UserError(f"--images {args.images}: no such folder")
    root = args.output[0].parent
    if args.images.resolve() == (root / "images").resolve():
        raise UserError(f"--output {args.output[0]}: pictures would be written among yours, into"
                        f" {args.images}; choose another folder")  # fmt: skip
    dataset = manifest.read(args.dataset)
    ids = [sample.id for sample in captions.of(dataset, args.folder)]
    pictures, faults = own_images.match(args.images, ids)
    targets = {id: root / "images" / f"{id}.jpg" for id in pictures}

    def take(id: str) -> tuple[str, str]:
        """(note, fault), at most one of them a text."""
        try:
            return own_images.take(pictures[id], targets[id], args.size, png=args.png), ""
        except UserError as error:
            reason = str(error).removeprefix(f"{pictures[id]}: ").removesuffix("; fetch it again")
            return "", f"{id}: {reason}"

    with ThreadPoolExecutor(max(args.threads, 1)) as pool:
        taken = pool.map(take, pictures)
        bar = cli.progress(taken, total=len(pictures), desc="adopt")
        outcomes = dict(zip(pictures, bar, strict=True))
    faults += [fault for _, fault in outcomes.values() if fault]
    own_images.refuse(args.images, faults, len(ids), root / "wrong.txt")
    notes = jpeg.notes(args.images, (note for note, _ in outcomes.values()))
    sides = dict(zip(("height", "width"), shape.sides(args.size), strict=True))
    for index, output in enumerate(args.output):
        shard = shards.shard(ids, index, len(args.output))
        manifest.write(
            output,
            root=root,
            files=[file for id in shard for file in own_images.kept(targets[id])],
            inputs={"dataset": args.dataset},
            settings=vars(args) | sides,
            results={"images": len(shard)},
            started=started,
            notes=[*dataset.notes, *notes],
        )
    print(f"{root}: {len(ids)} pictures of {args.images}")


if __name__ == "__main__":
    cli.main(run, parser())
