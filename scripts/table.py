"""Make one table of the paper, published beside ours, as JSON, CSV, HTML, Markdown and LaTeX."""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, manifest
from diffusion4k.errors import UserError


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--name", required=True, help="e.g. table_3; names the files")
    flags.add_argument("--spec", required=True, help="JSON or a JSON file: title, columns, rows")
    flags.add_argument("--published", type=Path, help="CSV of the paper's numbers; may be absent")
    flags.add_argument(
        "--values",
        nargs="*",
        default=[],
        metavar="ROW:FAMILY=MANIFEST",
        help="whose results fill the row's columns of that family",
    )
    flags.add_argument(
        "--comparisons",
        nargs="*",
        default=[],
        metavar="ROW:FAMILY=MANIFEST",
        help="paired differences to the row that the spec's `against` names",
    )
    flags.add_argument("--context", type=Path, help="CSV of other systems (spec key context)")
    flags.add_argument("--output", type=Path, required=True, help="manifest, R/tables/table_3.json")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.paper import forms, published, render, spec, tables

    started = time.time()
    values = read_values("--values", args.values)
    comparisons = read_values("--comparisons", args.comparisons)
    # a table that the paper lacks has no such file, and shows ours alone
    own = args.published if args.published and args.published.exists() else None
    table = tables.assemble(
        spec.load(args.spec),
        published.read(own) if own else {},
        values,
        published.read_context(args.context) if args.context else (),
        comparisons,
    )
    manifest.write(
        args.output,
        root=args.output.parent,
        files=forms.write(table, args.output, args.name),
        inputs={f"{row}:{family}": source.path for (row, family), source in values.items()}
        | {f"{row}:{family}:against": s.path for (row, family), s in comparisons.items()}
        | {name: p for name, p in {"published": own, "context": args.context}.items() if p},
        settings=vars(args),
        results=table,
        started=started,
        notes=[note for source in values.values() for note in source.notes],
    )
    print(render.markdown(table))


def read_values(flag: str, pairs: list[str]) -> dict[tuple[str, str], manifest.Manifest]:
    """`ROW:FAMILY=PATH` pairs => (row, family): manifest."""
    values = {}
    for place, path in cli.named(flag, pairs, "ROW:FAMILY=MANIFEST"):
        if place in values:
            raise UserError(f"{flag}: {':'.join(place)} is given twice")
        values[place] = manifest.read(path)
    return values


if __name__ == "__main__":
    cli.main(run, parser())
