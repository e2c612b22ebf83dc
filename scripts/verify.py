"""Compare every file that a run's manifests list with its size and SHA-256; name what is broken."""

import argparse
from pathlib import Path

from diffusion4k import cli, manifest
from diffusion4k.errors import UserError


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder, such as results/miniature")
    return parser


def is_manifest(path: Path) -> bool:
    """Manifests lie outside every bulk folder and name their own files."""
    return path.stat().st_size > 0 and '"sha256"' in path.read_text(encoding="utf-8")


def run(args: argparse.Namespace) -> None:
    bulk: set[Path] = set()
    manifests = []
    for path in sorted(args.run.rglob("*.json"), key=lambda path: len(path.parts)):
        if path not in bulk and "progress" not in path.parts and is_manifest(path):
            found = manifest.read(path)
            bulk.update(found.paths())
            manifests.append(found)
    broken = []
    for found in cli.progress(manifests, desc="verify", unit="manifest"):
        lines = manifest.verify(found)
        broken += lines
        if lines:
            print(f"{found.path}: {len(lines)} of {len(found.files)} files are broken")
            print("".join(f"  {line}\n" for line in lines), end="")
            print(f"  make it again: snakemake --forcerun {found.path}")
    if broken:
        raise UserError(f"{args.run}: {len(broken)} files are broken, see above")
    count = sum(len(found.files) for found in manifests)
    print(f"{args.run}: {count} files of {len(manifests)} manifests are as they were made")


if __name__ == "__main__":
    cli.main(run, parser())
