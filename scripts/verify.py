"""Compare every file that a run's manifests list with its size and SHA-256; name what is broken."""

import argparse
from pathlib import Path

from diffusion4k import cli, limits
from diffusion4k.errors import UserError
from diffusion4k.ledger import check


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder, such as results/miniature")
    parser.add_argument(
        "--workers", type=limits.count, default=cli.threads(), help="files read at a time"
    )
    return parser


def run(args: argparse.Namespace) -> None:
    with cli.progress(total=0, desc="verify", unit="B") as bar:
        report = check.check(args.run, workers=args.workers, progress=check.on_bar(bar))
    if not report.manifests and not report.broken:
        nothing = f"{args.run}: nothing has been made there; is `run` the one that you mean?"
        print(nothing)  # the rule's log has what is raised
        raise UserError(nothing)
    print("".join(f"{line}\n" for line in report.lines()), end="")
    if report.broken:
        count = sum(map(len, report.files.values())) + len({*report.unreadable, *report.gone})
        raise UserError(
            f"{args.run}: {count} files are broken or gone, see above; `snakemake … -- repair`,"
            " with the run's configuration, makes them again and no other"
        )
    count = sum(len(manifest.files) for manifest in report.manifests)
    print(f"{args.run}: {count} files of {len(report.manifests)} manifests are as they were made")


if __name__ == "__main__":
    cli.main(run, parser())
