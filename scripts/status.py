"""Where each training of a run stands: finished, running (rate, time left, GPU use), queued.

make status            every run in results/
python scripts/status.py results/paper
"""

import argparse
from pathlib import Path

import yaml

from diffusion4k import cli
from diffusion4k.errors import UserError


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, nargs="+", help="results/<run> of this checkout")
    return parser


def run(args: argparse.Namespace) -> None:
    from diffusion4k.cluster import status

    for folder in args.runs:
        path = folder / "config.yaml"
        if not path.is_file():
            raise UserError(f"{path}: no such file; {folder} is no run that Snakemake started")
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        print(f"{folder}:")
        for line in status.lines(config, Path.cwd()):
            print(f"  {line.model:20} {line.step:>7}  {line.state:9} {line.said}".rstrip())


if __name__ == "__main__":
    cli.main(run, parser())
