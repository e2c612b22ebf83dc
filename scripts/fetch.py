"""Bring one source here (hub repository, URL or local path) and write its manifest."""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, limits, manifest


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--hub", help="repository, owner/name")
    where.add_argument("--url", help="address of one file")
    where.add_argument("--path", help="folder or file that is here already")
    parser.add_argument("--type", default="model", choices=["model", "dataset", "kernel"])
    parser.add_argument("--revision", default="main", help="commit, tag or branch of the hub")
    parser.add_argument("--only", nargs="*", action="extend", help="patterns of files to take")
    parser.add_argument("--ignore", nargs="*", action="extend", help="… to leave")
    parser.add_argument("--sha256", default="", help="of the one file, or its beginning")
    parser.add_argument(
        "--aloud", type=limits.natural, help="file descriptor on which pauses are said too"
    )
    parser.add_argument("--folder", type=Path, required=True, help="for what --url brings")
    parser.add_argument("--output", type=Path, required=True, help="the manifest to write")
    return parser


def run(args: argparse.Namespace) -> None:
    from diffusion4k.sources import fetch, retry

    if args.aloud is not None:
        retry.aloud(args.aloud, args.hub or args.url or args.path)
    started = time.time()
    if args.path:
        fetched = fetch.local(args.path, args.sha256)
    elif args.url:
        fetched = fetch.url(args.url, args.folder, args.sha256)
    else:
        fetched = fetch.hub(
            args.hub,
            revision=args.revision,
            kind=args.type,
            only=args.only,
            ignore=args.ignore,
        )
    unrecorded = ("output", "aloud")
    settings = {key: value for key, value in vars(args).items() if value and key not in unrecorded}
    manifest.write(
        args.output,
        root=fetched.root,
        files=fetched.files,
        inputs={},
        settings=settings | {"revision": fetched.revision},
        started=started,
        notes=fetched.notes,
    )


if __name__ == "__main__":
    cli.main(run, parser())
