"""Where each training of a run stands: finished, running (rate, time left, GPU use), queued.

make status            every run in results/
python scripts/status.py results/paper
"""

import argparse
from pathlib import Path

from diffusion4k import cli
from diffusion4k.config import resolve


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "runs", type=Path, nargs="*", help="results/<run> of this checkout; by default every one"
    )
    return parser


def run(args: argparse.Namespace) -> None:
    from diffusion4k.cluster import status

    runs = args.runs or [path.parent for path in sorted(Path("results").glob("*/config.yaml"))]
    if not runs:
        print("nothing has been run here yet: no results/<run>/config.yaml")
        return
    queue, unknown = status.ask(Path.cwd()), False
    for folder in runs:
        config = resolve.saved(folder / "config.yaml")
        print(f"{folder}:")
        for line in status.lines(config, Path.cwd(), queue):
            print(f"  {line.model:20} {line.step:>7}  {line.state:9} {line.detail}".rstrip())
            unknown |= line.state == "unknown"
    if unknown:
        print(f"unknown: SLURM could not be asked ({queue.fault})")


if __name__ == "__main__":
    cli.main(run, parser())
