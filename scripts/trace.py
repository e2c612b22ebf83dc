"""What stands behind a number: the chain from a table's cell to the data it rests on.

  python scripts/trace.py table_3 SD3-F16-WLF FID --run results/paper

Row and column by key or label. Exit status 1 when a link of the chain is broken, which is named.
"""

import argparse
import json
from pathlib import Path

from diffusion4k import cli, files
from diffusion4k.errors import UserError
from diffusion4k.ledger import trace
from diffusion4k.ledger.chain import Run


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("table", help="e.g. table_3")
    flags.add_argument("row", help="e.g. SD3-F16-WLF")
    flags.add_argument("column", help="e.g. FID")
    flags.add_argument(
        "--run", type=Path, help="the run's folder; default: the only one of results/"
    )
    flags.add_argument("--format", choices=["text", "json", "html"], default="text")
    flags.add_argument("--output", type=Path, help="a file to write instead of printing")
    return flags


def run(args: argparse.Namespace) -> None:
    opened = Run(args.run or only_run(args.table))
    of = trace.cell(opened, args.table, args.row, args.column)
    links = trace.trace(opened, of)
    forms = {
        "text": lambda: f"{of.title}\n\n{trace.text(links)}\n",
        "json": lambda: json.dumps(trace.record(of, links), indent=1, default=str) + "\n",
        "html": lambda: trace.page(of, links),
    }
    shown = forms[args.format]()
    if args.output:
        files.write_text(args.output, shown)
    else:
        print(shown, end="")
    if broken := [link for link in links if link.fault]:
        named = "; ".join(f"{link.name}: {link.fault}" for link in broken)
        raise UserError(f"the chain is broken at {named}")


def only_run(table: str) -> Path:
    """The folder of results/ that has the table; UserError when several do, or none."""
    runs = sorted(path.parents[1] for path in Path("results").glob(f"*/tables/{table}.json"))
    if len(runs) != 1:
        several = ", ".join(map(str, runs)) or "no run of results/ has it"
        raise UserError(f"{table}: which run? give --run ({several})")
    return runs[0]


if __name__ == "__main__":
    cli.main(run, parser())
