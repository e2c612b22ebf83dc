"""From the rows of all shards to the numbers of one metric family, with their uncertainty."""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, manifest

FAMILIES = ("fid", "texture", "alignment", "distance", "quality", "reconstruction")
# networks of features.py, which serves two families at once, that the other one's numbers are of
OTHERS = {
    "fid": ("clip", "clip_large", "aesthetics_head"),
    "alignment": ("inception", "inception_clean"),
}


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--family", choices=FAMILIES, required=True)
    flags.add_argument("--scores", type=Path, nargs="+", required=True, help="shard manifests")
    flags.add_argument("--reference", type=Path, nargs="+", default=[], help="for --family fid")
    flags.add_argument("--expected", type=int, required=True, help="images that there must be")
    flags.add_argument("--seed", type=int, default=0, help="of the bootstrap, subsets and splits")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.metrics import aggregate

    started = time.time()
    shards = [manifest.read(path) for path in args.scores]
    reference = [manifest.read(path) for path in args.reference]
    results = aggregate.family(
        args.family,
        shards,
        reference=reference,
        expected=args.expected,
        seed=args.seed,
    )
    every = [("scores", shards), ("reference", reference)]
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[],
        inputs={f"{kind}-{i}": shard.path for kind, part in every for i, shard in enumerate(part)},
        settings=vars(args),
        results=results,
        started=started,
        notes=notes(args.family, [*shards, *reference]),
    )
    for name, result in results.items():
        print(f"{name}: {result['value']:.6g} (n = {result['n']})")


def notes(family: str, shards: list[manifest.Manifest]) -> list[str]:
    """What is said of the shards, but for what is said of networks that the family does not use."""
    from diffusion4k.metrics import inputs

    paths = [
        Path(shard.inputs.get(name, "")) for shard in shards for name in OTHERS.get(family, ())
    ]
    unused = inputs.notes(*(manifest.read(path) for path in set(paths) if path.is_file()))
    return [note for note in inputs.notes(*shards) if note not in unused]


if __name__ == "__main__":
    cli.main(run, parser())
