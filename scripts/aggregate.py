"""From the rows of all shards to the numbers of one metric family, with their uncertainty."""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, limits, manifest
from diffusion4k.metrics import families


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--family", choices=families.every(), required=True)
    flags.add_argument("--scores", type=Path, nargs="+", required=True, help="shard manifests")
    flags.add_argument("--reference", type=Path, nargs="+", default=[], help="for --family fid")
    flags.add_argument(
        "--expected", type=limits.count, required=True, help="images that there must be"
    )
    flags.add_argument(
        "--seed", type=limits.seed, default=0, help="of the bootstrap, subsets and splits"
    )
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    started = time.time()
    shards = [manifest.read(path) for path in args.scores]
    reference = [manifest.read(path) for path in args.reference]
    results = families.get(args.family).aggregate(
        shards,
        reference=reference,
        expected=args.expected,
        seed=args.seed,
    )
    parts = [("scores", shards), ("reference", reference)]
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[],
        inputs={f"{kind}-{i}": shard.path for kind, part in parts for i, shard in enumerate(part)},
        settings=vars(args),
        results=results,
        started=started,
        notes=notes(args.family, [*shards, *reference]),
    )
    for name, result in results.items():
        print(f"{name}: {result['value']:.6g} (n = {result['n']})")


def notes(family: str, shards: list[manifest.Manifest]) -> list[str]:
    """What is said of the shards, but for what is said of networks that the family does not use.

    One job scores for several families, with the networks of them all.
    """
    from diffusion4k.metrics import inputs

    own = families.get(family)
    others = {name for other in families.scored_by(own.stage) for name in other.networks}
    others -= set(own.networks)
    paths = [Path(shard.inputs.get(name, "")) for shard in shards for name in sorted(others)]
    unused = inputs.notes(*(manifest.read(path) for path in set(paths) if path.is_file()))
    return [note for note in inputs.notes(*shards) if note not in unused]


if __name__ == "__main__":
    cli.main(run, parser())
