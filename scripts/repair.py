"""Make again exactly what is broken of a run: `snakemake … -- repair`.

What comes out with the bytes of before has nothing downstream made again. What does not, as may
happen on a GPU, is named with what lies downstream, and what to do is yours to choose.
"""

import argparse
import shlex
from pathlib import Path

from diffusion4k import cli, limits
from diffusion4k.errors import UserError
from diffusion4k.ledger import check, repair


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("run", type=Path, help="a run's folder, such as results/miniature")
    flags.add_argument(
        "--workers", type=limits.count, default=cli.threads(), help="files read at a time"
    )
    flags.add_argument(
        "--snakemake", type=shlex.split, required=True, metavar="ARGUMENTS",
        help="of the run: its config file or profile, cores; no target"
    )  # fmt: skip
    return flags


def run(args: argparse.Namespace) -> None:
    repair.recover(args.run)
    with cli.progress(total=0, desc="verify", unit="B") as bar:
        report = check.check(args.run, workers=args.workers, progress=check.on_bar(bar))
    print("".join(f"{line}\n" for line in report.lines()), end="", flush=True)
    if not report.broken:
        print(f"{args.run}: nothing is broken")
        return
    outcome = repair.Outcome()
    try:
        repair.repair(report, args.run, args.snakemake, outcome)
    finally:
        tell(outcome)
    if not outcome.other:
        return
    again = shlex.join(["snakemake", *args.snakemake])
    below = list(dict.fromkeys(p for later in outcome.other.values() for p in later))
    raise UserError(
        f"{len(outcome.other)} of {len(report.broken)} came out with other bytes, see above. Either"
        f" make what lies downstream again ({again} -- all), or keep it as made from the bytes"
        f" before ({again} --touch -- {shlex.join(map(str, below))})"
    )


def tell(outcome: repair.Outcome) -> None:
    """Say of each manifest what has become of it."""
    for path in outcome.same:
        print(f"{path}: whole again, as it was; nothing downstream has to run again")
    for path, later in outcome.other.items():
        print(f"{path}: whole again, but with other bytes; made from it: {len(later)} manifests")
        print("".join(f"  {each}\n" for each in later), end="")
    for path in outcome.waiting:
        print(f"{path}: still broken; it is made from what has other bytes now, so choose first")


if __name__ == "__main__":
    cli.main(run, parser())
