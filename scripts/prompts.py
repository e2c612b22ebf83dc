"""List a set of prompts as a data set without photographs: a metadata.jsonl, and its manifest."""

import argparse
import json
import time
from pathlib import Path

from diffusion4k import cli, files, manifest
from diffusion4k.data import prompts
from diffusion4k.data.captions import LISTING
from diffusion4k.errors import UserError


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--file", type=Path, help="a prompt a line, or .jsonl with text and id")
    flags.add_argument("--texts", nargs="+", action="extend", help="the prompts themselves")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    started = time.time()
    if (args.file is None) == (args.texts is None):
        raise UserError("give either --file FILE or --texts TEXT …")
    listed = (
        prompts.read(args.file.expanduser())
        if args.file
        else prompts.of_texts(args.texts, "--texts")
    )
    root = args.output.with_suffix("")
    # named as pictures of theirs would be: who reads captions reads prompts
    lines = [{"file_name": f"{prompt.id}.jpg", "text": prompt.text} for prompt in listed]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    with files.anew(root) as part:
        files.write_text(part / LISTING, text)
    manifest.write(
        args.output,
        root=root,
        files=[root / LISTING],
        inputs={},
        settings=vars(args),
        results={"prompts": len(listed)},
        started=started,
    )
    print(f"{args.output}: {len(listed)} prompts")


if __name__ == "__main__":
    cli.main(run, parser())
