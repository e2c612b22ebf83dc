"""One row of Table 1: how a metric's scores of rated images correlate with their ratings."""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, limits, manifest
from diffusion4k.metrics import families


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--metric", choices=families.rated(), required=True)
    flags.add_argument("--ratings", type=Path, required=True, help="CSV: model,id,rating")
    flags.add_argument("--scores", nargs="+", required=True, metavar="MODEL=MANIFEST")
    flags.add_argument("--expected", type=limits.count, required=True, help="images of each model")
    flags.add_argument(
        "--choice",
        choices=("published", "corrected"),
        default="published",
        help="glcm: value histogram or true entropy",
    )
    flags.add_argument("--seed", type=limits.seed, default=0, help="of the bootstrap")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.metrics import correlation, inputs

    started = time.time()
    shards: dict[str, list[manifest.Manifest]] = {}
    for (model,), path in cli.named("--scores", args.scores, "MODEL=MANIFEST"):
        shards.setdefault(model, []).append(manifest.read(path))
    scores = {}
    for model, part in shards.items():
        scores |= correlation.read_scores(
            args.metric, model, part, expected=args.expected, choice=args.choice
        )
    _, rated = families.rated()[args.metric]
    ratings = correlation.read_ratings(args.ratings)
    scored = [shard for part in shards.values() for shard in part]
    coverage = f"{len(ratings)} of {len(scores)} images of {', '.join(shards)} are rated"
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[],
        inputs={"ratings": args.ratings} | {f"scores-{i}": s.path for i, s in enumerate(scored)},
        settings=vars(args),
        results=correlation.correlate(scores, ratings, sign=rated.sign, seed=args.seed),
        started=started,
        notes=[*inputs.notes(*scored), f"{args.ratings.name}: {coverage}"],
    )


if __name__ == "__main__":
    cli.main(run, parser())
