"""Say what a run made: a table of it as text, how long the stages took, where the report lies."""

import argparse
from pathlib import Path

from diffusion4k import cli
from diffusion4k.errors import UserError
from diffusion4k.ledger import check


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder, such as results/miniature")
    parser.add_argument("--table", default="table_s1", help="which one")
    return parser


def run(args: argparse.Namespace) -> None:
    if not (args.run / "report.html").is_file():
        raise UserError(f"{args.run}/report.html: not there; build it with the target `report`")
    table = args.run / "tables" / f"{args.table}.md"
    if not table.is_file():
        raise UserError(f"{table}: this run made no such table; name another with --table")
    print(table.read_text(encoding="utf-8"))
    print("stage        seconds of work")
    for stage in ("sources", "data", "latents", "train", "vae", "generate", "metrics"):
        seconds = [job.seconds for job in check.find(args.run / stage)]
        print(f"{stage:12} {sum(seconds):8.0f}  ({len(seconds)} manifests)")
    print(f"\nAll tables and figures are in the report: {(args.run / 'report.html').resolve()}")


if __name__ == "__main__":
    cli.main(run, parser())
