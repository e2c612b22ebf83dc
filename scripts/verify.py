"""Compare every file that a run's manifests list with its size and SHA-256; name what is broken."""

import argparse
from pathlib import Path

from diffusion4k import cli, manifest
from diffusion4k.errors import UserError


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder, such as results/miniature")
    return parser


def run(args: argparse.Namespace) -> None:
    manifests = manifest.find(args.run)
    if not manifests:
        nothing = f"{args.run}: nothing has been made there; is `run` the one that you mean?"
        print(nothing)  # the rule's log has what is raised
        raise UserError(nothing)
    broken, lost = [], {}
    for found in cli.progress(manifests, desc="verify", unit="manifest"):
        lines = manifest.verify(found)
        broken += lines
        lost.update(dict.fromkeys(manifest.gone(found)))
        if lines:
            print(f"{found.path}: {len(lines)} of {len(found.files)} files are broken")
            print("".join(f"  {line}\n" for line in lines), end="")
            print(f"  {found.listed(found.path).remedy()}")
    for line in lost:
        print(f"{line}; snakemake makes it again")
    if broken or lost:
        raise UserError(
            f"{args.run}: {len(broken) + len(lost)} files are broken or gone, see above"
        )
    count = sum(len(found.files) for found in manifests)
    print(f"{args.run}: {count} files of {len(manifests)} manifests are as they were made")


if __name__ == "__main__":
    cli.main(run, parser())
