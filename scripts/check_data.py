"""Check one split of the data set and measure its images: integrity, sizes (Table 9, Figure 13)."""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, files, limits, manifest, shape
from diffusion4k.data import listing
from diffusion4k.errors import UserError


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--dataset", type=Path, required=True, help="manifest of the data set")
    flags.add_argument("--folder", required=True, help="folder inside it, e.g. eval/size_4096")
    flags.add_argument("--split", required=True, help="what the split is called, e.g. eval_4096")
    flags.add_argument("--captioned", action=argparse.BooleanOptionalAction, default=True,
                       help="no: every image below the folder counts")  # fmt: skip
    flags.add_argument("--expected", type=limits.count, help="number of images; unset: not known")
    flags.add_argument(
        "--min-side", type=shape.parse, default=0, help="px or HxW; smaller is an offence"
    )
    flags.add_argument("--size", type=shape.parse, help="smaller is counted (default: --min-side)")
    flags.add_argument("--refuse-duplicates", action="store_true", help="equal files are offences")
    flags.add_argument("--workers", type=limits.count, default=cli.threads(), help="processes")
    flags.add_argument("--output", type=Path, required=True, help="manifest, R/data/train.json")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.data import check as data

    started = time.time()
    source = manifest.read(args.dataset)
    samples = listing.of(source, args.folder, captioned=args.captioned)
    rules = {"min_side": args.min_side, "captioned": args.captioned}
    decoded = data.inspect_all(samples, **rules, workers=args.workers)
    bar = cli.progress(decoded, total=len(samples), desc=f"check {args.split}", unit="image")
    inspections = list(bar)

    folder = source.root / args.folder if args.captioned else None
    wrong = data.offenders(folder, samples, inspections, args.expected)
    equal = data.duplicates(inspections)
    refuse(args, wrong + equal if args.refuse_duplicates else wrong)

    bulk = args.output.with_suffix(".parquet")
    sizes = data.frame(inspections)
    data.write_parquet(bulk, sizes)
    below = args.min_side if args.size is None else args.size
    notes = list(source.notes)
    if equal:
        notes.append(f"{args.split}: {len(equal)} images come twice, e.g. {equal[0]}")
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[bulk],
        inputs={"dataset": args.dataset},
        settings=vars(args),
        results={"n": len(sizes), "offenders": [], "duplicates": equal}
        | data.statistics(sizes, below),
        started=started,
        notes=notes,
    )
    print(f"{args.split}: {len(sizes)} images, all sound")


def refuse(args: argparse.Namespace, offenders: list[str]) -> None:
    """Name all offenders, in a file beside the output too, and stop; or clear an old list."""
    listing = args.output.with_name(f"{args.split}-offenders.txt")
    if not offenders:
        listing.unlink(missing_ok=True)
        return
    files.write_text(listing, "\n".join(offenders) + "\n")
    print("\n".join(offenders))
    raise UserError(
        f"{args.split}: {len(offenders)} offenders, listed in {listing}; fetch or mend them"
    )


if __name__ == "__main__":
    cli.main(run, parser())
