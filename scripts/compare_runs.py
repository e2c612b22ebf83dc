"""Which numbers of two runs differ, by how much of their intervals, and where the runs part.

  python scripts/compare_runs.py results/a results/b

Exit status 0 whatever differs; 1 where there is nothing to compare.
"""

import argparse
from pathlib import Path

from diffusion4k import cli
from diffusion4k.errors import UserError
from diffusion4k.ledger import compare
from diffusion4k.ledger.chain import Run


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("a", type=Path, help="a run's folder")
    flags.add_argument("b", type=Path, help="another's")
    return flags


def run(args: argparse.Namespace) -> None:
    count, differences = compare.compare(Run(args.a), Run(args.b))
    if not count:
        raise UserError(
            f"{args.a}, {args.b}: no row of a table is in both; give folders such as results/a"
        )
    for difference in differences:
        print("\n".join(difference.lines()))
    print(f"{len(differences)} of {count} numbers differ")


if __name__ == "__main__":
    cli.main(run, parser())
