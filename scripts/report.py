"""Write the report: one self-contained HTML page with every table and figure of a run."""

import argparse
from pathlib import Path

from diffusion4k import cli, files, manifest
from diffusion4k.errors import UserError

TITLE = "Diffusion-4K, reproduced"


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--title", default=TITLE)
    flags.add_argument("--run", required=True, help="name of the run, e.g. miniature")
    for kind in ("tables", "figures"):
        flags.add_argument(
            f"--{kind}", type=Path, nargs="*", default=[], metavar="MANIFEST", help="in this order"
        )
    flags.add_argument("--config", type=Path, required=True, help="the resolved config of the run")
    flags.add_argument("--template", type=Path, required=True, help="report/template.html")
    flags.add_argument("--scaling", type=Path, help="JSON of benchmarks/scaling.py, PNG beside it")
    flags.add_argument("--output", type=Path, required=True, help="R/report.html")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.paper import report

    if not args.template.is_file():
        raise UserError(f"--template {args.template}: no such file")
    tables = [manifest.read(path) for path in args.tables]
    figures = [manifest.read(path) for path in args.figures]
    page = report.build(
        args.template,
        title=args.title,
        run=args.run,
        tables=tables,
        figures=figures,
        sources=report.origins([*tables, *figures]),
        config=read_config(args.config),
        scaling=args.scaling,
    )
    files.write_text(args.output, page)
    print(report.terminal(tables))
    print(f"report: {args.output} ({report.size(args.output.stat().st_size)})")


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
