"""Say what a run made: its tables as text, how long the stages took, where the report lies."""

import argparse
from pathlib import Path

from diffusion4k import cli, manifest
from diffusion4k.errors import UserError


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run's folder, such as results/miniature")
    return parser


def run(args: argparse.Namespace) -> None:
    if not (args.run / "report.html").is_file():
        raise UserError(f"{args.run}/report.html: not there; build it with the target `report`")
    for path in sorted(args.run.glob("tables/*.md")):
        print(path.read_text(encoding="utf-8"))
    print("stage        seconds of work")
    for stage in ("sources", "data", "latents", "train", "vae", "generate", "metrics"):
        seconds = [manifest.read(path).seconds for path in manifests(args.run / stage)]
        print(f"{stage:12} {sum(seconds):8.0f}  ({len(seconds)} manifests)")
    print(f"\nThe report: {(args.run / 'report.html').resolve()}")


def manifests(folder: Path) -> list[Path]:
    """The tracked manifests of one stage, not the JSON files that lie in its bulk."""
    bulk = {"pipeline", "progress"}
    found = [p for p in folder.rglob("*.json") if '"sha256"' in p.read_text(encoding="utf-8")]
    return [p for p in found if not bulk & set(p.relative_to(folder).parts)]


if __name__ == "__main__":
    cli.main(run, parser())
