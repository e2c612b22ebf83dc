"""Write a run as a Workflow Run RO-Crate: `snakemake … -- crate`; what one deposits on Zenodo."""

import argparse
from pathlib import Path

from diffusion4k import cli, files
from diffusion4k.errors import UserError
from diffusion4k.ledger import check
from diffusion4k.ledger.chain import Run

CHECKOUT = Path(__file__).resolve().parents[1]


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("run", type=Path, help="a run's folder, such as results/miniature")
    # no file, as other scripts' outputs are
    flags.add_argument(
        "--output", dest="folder", type=Path, required=True, help="folder to write, made anew"
    )
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.ledger import crate

    manifests = check.find(args.run)
    if not manifests:
        raise UserError(f"{args.run}: nothing has been made there; is `run` the one that you mean?")
    with files.anew(args.folder) as part:
        count = crate.write(Run(args.run), manifests, CHECKOUT, part)
    print(f"{args.folder}: a crate of {count} jobs")


if __name__ == "__main__":
    cli.main(run, parser())
