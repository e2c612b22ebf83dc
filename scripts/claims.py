"""Judge the paper's claims by a run's tables, comparisons and votes, as JSON and Markdown."""

import argparse
import json
import time
from pathlib import Path

from diffusion4k import cli, files, manifest
from diffusion4k.errors import UserError


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--claims", required=True, help="JSON list: id, text, what it is read from")
    flags.add_argument("--tables", nargs="*", type=Path, default=[], help="their manifests")
    flags.add_argument(
        "--comparisons",
        nargs="*",
        default=[],
        metavar="CLAIM=MANIFEST",
        help="paired differences between a claim's two rows",
    )
    flags.add_argument("--votes", type=Path, help="manifest of win rates, for the figure's claims")
    flags.add_argument(
        "--published", nargs="*", default=[], metavar="TABLE=CSV", help="the paper's numbers"
    )
    flags.add_argument("--output", type=Path, required=True, help="manifest; CLAIMS.md beside it")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.paper import claims, published

    started = time.time()
    tables = {path.stem: manifest.read(path) for path in args.tables}
    pairs = cli.named("--comparisons", args.comparisons, "CLAIM=MANIFEST")
    comparisons = {claim: manifest.read(path) for (claim,), path in pairs}
    votes = manifest.read(args.votes) if args.votes else None
    said = {table: path for (table,), path in cli.named("--published", args.published, "TABLE=CSV")}
    try:
        listed = json.loads(args.claims)
    except ValueError as error:
        raise UserError(f"--claims: not JSON ({error})") from None
    results = claims.judge(
        listed,
        {name: table.results for name, table in tables.items()},
        comparisons,
        votes,
        {table: published.read(path) for table, path in said.items()},
    )
    text = args.output.with_suffix(".md")
    files.write_text(text, claims.markdown(results))
    sources = tables | {f"{c}:against": m for c, m in comparisons.items()}
    sources |= {"votes": votes} if votes else {}
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[text],
        inputs={name: source.path for name, source in sources.items()}
        | {f"{table}:published": path for table, path in said.items()},
        settings=vars(args),
        results=results,
        started=started,
        notes=[note for source in sources.values() for note in source.notes],
    )
    print(claims.markdown(results))


if __name__ == "__main__":
    cli.main(run, parser())
