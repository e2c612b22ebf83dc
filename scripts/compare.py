"""Paired differences of one model's scores to another's on the same prompts, with intervals."""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, limits, manifest
from diffusion4k.metrics import families


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--family", choices=families.paired(), required=True)
    flags.add_argument("--scores", type=Path, nargs="+", required=True, help="shard manifests")
    flags.add_argument("--against", type=Path, nargs="+", required=True, help="the other model's")
    flags.add_argument(
        "--expected", type=limits.count, required=True, help="images that there must be"
    )
    flags.add_argument("--seed", type=limits.seed, default=0, help="of the bootstrap")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.metrics import compare, inputs

    started = time.time()
    sides = {
        name: [manifest.read(path) for path in paths]
        for name, paths in (("scores", args.scores), ("against", args.against))
    }
    results = compare.compare(
        args.family,
        sides["scores"],
        sides["against"],
        expected=args.expected,
        seed=args.seed,
    )
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[],
        inputs={f"{side}-{i}": s.path for side, part in sides.items() for i, s in enumerate(part)},
        settings=vars(args),
        results=results,
        started=started,
        notes=inputs.notes(*sides["scores"], *sides["against"]),
    )
    for name, result in results.items():
        print(f"{name}: {result['value']:+.6g} {result.get('interval', '')} (n = {result['n']})")


if __name__ == "__main__":
    cli.main(run, parser())
