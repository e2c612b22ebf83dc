"""Write the report: one self-contained HTML page, what was reproduced first."""

import argparse
import json
import time
from pathlib import Path

from diffusion4k import cli, files, manifest
from diffusion4k.errors import UserError

TITLE = "Diffusion-4K: what was reproduced"


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--title", default=TITLE)
    flags.add_argument("--run", required=True, help="name of the run, e.g. miniature")
    for kind in ("tables", "figures"):
        flags.add_argument(
            f"--{kind}", type=Path, nargs="*", default=[], metavar="MANIFEST", help="in this order"
        )
    flags.add_argument("--claims", type=Path, help="manifest of the claims' verdicts")
    flags.add_argument("--gallery", type=Path, help="manifest of the gallery")
    flags.add_argument("--config", type=Path, required=True, help="the resolved config of the run")
    flags.add_argument("--template", type=Path, required=True, help="report/report.html")
    flags.add_argument("--arithmetic", default="{}", help="JSON: stage/model to FLOPs, jobs")
    flags.add_argument(
        "--lacking", default="{}", help="JSON: table or figure to rows of the paper's that it lacks"
    )
    flags.add_argument("--scaling", type=Path, help="JSON of benchmarks/scaling.py, PNG beside it")
    flags.add_argument(
        "--chains", type=Path, required=True, help="manifest of the pages that numbers lead to"
    )
    flags.add_argument("--output", type=Path, required=True, help="R/report.html")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.paper import render
    from diffusion4k.paper.report import chains, page, units

    started = time.time()
    if not args.template.is_file():
        raise UserError(f"--template {args.template}: no such file")
    tables = [manifest.read(path) for path in args.tables]
    pages = chains.write(tables, args.output.parent, args.chains.with_suffix(""))
    text = page.build(
        args.template,
        title=args.title,
        run=args.run,
        tables=tables,
        figures=[manifest.read(path) for path in args.figures],
        claims=manifest.read(args.claims) if args.claims else None,
        gallery=manifest.read(args.gallery) if args.gallery else None,
        chains=pages,
        arithmetic=json.loads(args.arithmetic),
        config=read_config(args.config),
        folder=args.output.parent,
        scaling=args.scaling,
        lacking=json.loads(args.lacking),
    )
    manifest.write(
        args.chains,
        root=args.chains.parent,
        files=pages.values(),
        inputs={table.path.stem: table.path for table in tables},
        settings={"tables": args.tables},
        started=started,
    )
    files.write_text(args.output, text)
    print("\n".join(render.markdown(table.results) for table in tables))
    print(f"report: {args.output} ({units.size(args.output.stat().st_size)})")


def read_config(path: Path) -> dict:
    import yaml

    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"--config {path}: cannot be read ({error})") from None
    if not isinstance(config, dict):
        raise UserError(f"--config {path}: not a mapping of keys")
    return config


if __name__ == "__main__":
    cli.main(run, parser())
