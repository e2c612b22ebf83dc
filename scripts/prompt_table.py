"""Print the prompts of a table in words (Table 11), as JSON, CSV, HTML, Markdown and LaTeX."""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, manifest
from diffusion4k.config.fidelity import ABOUT
from diffusion4k.endpoints import prompts


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--name", required=True, help="table_11; names the files")
    flags.add_argument("--title", required=True)
    flags.add_argument(
        "--prompts", type=Path, nargs="+", required=True, help="files, in this order"
    )
    flags.add_argument("--about", default="", help="what the run is, said below")
    flags.add_argument(
        "--output", type=Path, required=True, help="manifest, R/tables/table_11.json"
    )
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.paper import forms, prompt_table, render

    started = time.time()
    footer = [f"{ABOUT}{args.about}"] if args.about else []
    table = prompt_table.assemble(args.title, map(prompts.read, args.prompts), footer)
    manifest.write(
        args.output,
        root=args.output.parent,
        files=forms.write(table, args.output, args.name),
        inputs={path.stem: path for path in args.prompts},
        settings=vars(args),
        results=table,
        started=started,
    )
    print(render.markdown(table))


if __name__ == "__main__":
    cli.main(run, parser())
