"""Bring ratings of pictures together: one CSV for Table 1, and how far raters agree."""

import argparse
import csv
import time
from pathlib import Path

from diffusion4k import cli, files, manifest
from diffusion4k.errors import UserError


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument(
        "--answers", type=Path, nargs="+", action="extend", required=True,
        help="what a kit saved (JSON, CSV), or a CSV with the header model,id,rating"
    )  # fmt: skip
    flags.add_argument("--kit", type=Path, help="manifest of the kit that the answers are of")
    flags.add_argument(
        "--partial", action=argparse.BooleanOptionalAction, default=False,
        help="take raters who did not rate all"
    )  # fmt: skip
    flags.add_argument("--output", type=Path, required=True, help="manifest; the CSV lies beside")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.people import agreement, answers

    started = time.time()
    kit, key = answers.read_key(args.kit, args.answers)
    ratings = answers.of_ratings(args.answers, key, partial=args.partial)
    if not ratings:
        raise UserError(f"{args.answers[0]}: no ratings in it")
    bulk = args.output.with_suffix(".csv")
    with files.atomic(bulk) as temporary, temporary.open("w", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(answers.RATINGS_HEADER)
        writer.writerows(cells[1:] for cells in ratings)
    named = {(rater, (model, id)): value for rater, model, id, value in ratings if rater}
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[bulk],
        inputs={f"answers-{i}": path for i, path in enumerate(args.answers)}
        | ({"kit": kit.path} if kit else {}),
        settings=vars(args),
        results={
            "ratings": len(ratings),
            "agreement": agreement.of(named, "ordinal") if named else {},
        },
        started=started,
        notes=kit.notes if kit else [],
    )
    print(f"{bulk}: {len(ratings)} ratings")


if __name__ == "__main__":
    cli.main(run, parser())
