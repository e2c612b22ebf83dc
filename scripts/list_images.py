"""List the images of a folder that a VAE is trained on, and those that are held out of it."""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, files, limits, manifest
from diffusion4k.data import listing


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    flags.add_argument("--dataset", type=Path, required=True, help="manifest of the data set")
    flags.add_argument("--folder", required=True, help="folder inside it; . is all of it")
    flags.add_argument("--captioned", action=argparse.BooleanOptionalAction, default=True,
                       help="no: every image below the folder counts")  # fmt: skip
    flags.add_argument(
        "--held-out", type=limits.natural, default=0, help="images not to be trained on"
    )
    flags.add_argument("--seed", type=limits.seed, default=0, help="of which they are")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    started, dataset = time.time(), manifest.read(args.dataset)
    photographs = listing.of(dataset, args.folder, captioned=args.captioned)
    parts = listing.divide(photographs, args.held_out, seed=args.seed)
    folder = args.output.with_suffix("")
    names = (listing.TRAINING, listing.HELD_OUT)
    with files.anew(folder) as place:
        for name, part in zip(names, parts, strict=True):
            listing.write(place / name, part, dataset.root)
    manifest.write(
        args.output,
        root=folder,
        files=[folder / name for name in names],
        inputs={"dataset": args.dataset},
        settings=vars(args),
        results={"training": len(parts[0]), "held_out": len(parts[1])},
        started=started,
        notes=dataset.notes,
    )
    print(f"{len(parts[0])} images to train on, {len(parts[1])} held out")


if __name__ == "__main__":
    cli.main(run, parser())
