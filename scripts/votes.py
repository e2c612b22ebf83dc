"""Count votes on pairs of pictures: win rates, agreement, strengths (Figure 6)."""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, limits, manifest
from diffusion4k.data import captions
from diffusion4k.errors import UserError


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument(
        "--answers", type=Path, nargs="*", action="extend", default=[],
        help="what a kit saved (JSON, CSV), or a CSV of votes with the models' names"
    )  # fmt: skip
    flags.add_argument("--judges", type=Path, nargs="*", default=[], help="manifests of judges")
    flags.add_argument("--kit", type=Path, help="manifest of the kit that the answers are of")
    flags.add_argument("--pairs", nargs="+", required=True, metavar="MODEL,MODEL", help="the study")
    flags.add_argument("--dataset", type=Path, required=True, help="manifest, of the prompts")
    flags.add_argument("--folder", required=True, help="folder in it, e.g. eval/size_2048")
    flags.add_argument(
        "--partial", action=argparse.BooleanOptionalAction, default=False,
        help="take raters who did not answer all"
    )  # fmt: skip
    flags.add_argument("--seed", type=limits.seed, default=0, help="of the bootstrap")
    flags.add_argument("--output", type=Path, required=True, help="manifest; votes.csv beside it")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.people import agreement, answers, preference, votes

    started = time.time()
    dataset, judges = manifest.read(args.dataset), [manifest.read(path) for path in args.judges]
    pairs = [tuple(pair.split(",")) for pair in args.pairs]
    prompts = [sample.id for sample in captions.of(dataset, args.folder)]
    kit, key = answers.read_key(args.kit, args.answers)
    judged = [path for judge in judges for path in judge.sound() if path.suffix == ".csv"]
    paths = [*args.answers, *judged]
    cast = answers.of_pairs(paths, key, pairs, prompts, partial=args.partial)
    if not cast:
        raise UserError("no votes: give --answers or --judges")
    bulk = args.output.with_suffix(".csv")
    votes.write(bulk, cast)
    people = sorted({vote.rater for vote in cast if vote.kind == "people"})
    rates = preference.win_rates(cast, pairs, seed=args.seed)
    of_inputs = [dataset, *judges, *([kit] if kit else [])]
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[bulk],
        inputs={"dataset": dataset.path}
        | ({"kit": kit.path} if kit else {})
        | {f"answers-{i}": path for i, path in enumerate(args.answers)}
        | {f"judge-{i}": judge.path for i, judge in enumerate(judges)},
        settings=vars(args),
        results={
            "win_rates": rates,
            "agreement": agreement.of_votes(cast),
            "strengths": preference.strengths(cast),
            "raters": len(people),
            "refusals": sum(judge.results.get("refusals", 0) for judge in judges),
        },
        started=started,
        notes=[note for source in of_inputs for note in source.notes],
    )
    for row in rates:
        low, high = row["interval"]
        print(
            f"{row['by']}, {row['question']}: {row['better']} over {row['than']}"
            f" {row['rate']:.0%} ({low:.0%} to {high:.0%}; {row['n']} votes)"
        )


if __name__ == "__main__":
    cli.main(run, parser())
