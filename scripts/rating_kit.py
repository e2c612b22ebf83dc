"""Build a rating kit: a page that asks people about pictures, and the key that names the models."""

import argparse
import json
import time
from pathlib import Path

from diffusion4k import cli, files, limits, manifest
from diffusion4k.data import captions
from diffusion4k.errors import UserError

TEMPLATE = Path(__file__).resolve().parent.parent / "report" / "rating_kit"


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("purpose", choices=("pairs", "ratings"), help="votes, or ratings of detail")
    flags.add_argument("--images", nargs="+", required=True, metavar="MODEL=MANIFEST")
    flags.add_argument(
        "--groups", nargs="+", required=True, metavar="MODEL[,MODEL]",
        help="pairs: two models each; ratings: one"
    )  # fmt: skip
    flags.add_argument("--dataset", type=Path, required=True, help="manifest, of the captions")
    flags.add_argument("--folder", required=True, help="folder in it, e.g. eval/size_2048")
    flags.add_argument(
        "--captions", nargs="+", default=[], metavar="MODEL=MANIFEST",
        help="models of other captions: their data set under these"
    )  # fmt: skip
    flags.add_argument(
        "--prompts", type=limits.count, default=20, help="of the evaluation, evenly spread"
    )
    flags.add_argument(
        "--side", type=limits.count, help="pairs: px of a picture's longer side at most"
    )
    flags.add_argument("--patch", type=limits.count, default=64, help="ratings: px of a patch")
    flags.add_argument(
        "--across", type=limits.count, default=3, help="ratings: patches along a side"
    )
    flags.add_argument(
        "--embed-mb", type=limits.natural, default=60, help="pictures in the page; or beside"
    )
    flags.add_argument(
        "--seed", type=limits.seed, default=0, help="of the order and the places a and b"
    )
    flags.add_argument("--output", type=Path, required=True, help="manifest; a folder lies beside")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.people import kit, page, pictures

    started = time.time()
    groups = [group.split(",") for group in args.groups]
    if wrong := [g for g in groups if len(set(g)) != {"pairs": 2, "ratings": 1}[args.purpose]]:
        raise UserError(f"--groups {','.join(wrong[0])}: pairs have two models, ratings one")
    dataset, sources = manifest.read(args.dataset), pictures.sources(args.images)
    texts = {sample.id: sample.text for sample in captions.of(dataset, args.folder)}
    captioned = pictures.own_captions(args.captions)
    items = kit.items(
        pictures.of(sources), texts, groups, prompts=args.prompts, seed=args.seed,
        own=pictures.texts(captioned, args.folder),
    )  # fmt: skip
    layout = {"patch": args.patch, "across": args.across}
    if args.purpose == "pairs":
        layout = {"side": args.side} if args.side else {}
    folder, embed = args.output.with_suffix(""), args.embed_mb * 2**20
    own = kit.key(args.purpose, items, layout)
    # beside the folder that raters get, not in it
    key = args.output.with_name(f"{args.output.stem}-key.json")
    before = kit_of(key)
    bulk = page.write(folder, items, args.purpose, layout, template=TEMPLATE, embed=embed)
    if before not in ("", own["kit"]):  # answers may still come that nothing else explains
        print(f"the pictures have changed since the kit {before}; its key is kept")
        key.replace(key.with_name(f"{key.stem}-{before}.json"))
    files.write_text(key, json.dumps(own, indent=1) + "\n")
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[key, *bulk],
        inputs={"dataset": dataset.path}
        | {f"{model}:{source.path}": source.path for model, source in (*captioned, *sources)},
        settings=vars(args),
        results={"items": len(items), "kit": kit.digest(args.purpose, items, layout)},
        started=started,
        notes=[*dataset.notes, *(n for _, m in (*captioned, *sources) for n in m.notes)],
    )
    send = f"the folder {folder}" if len(bulk) > 1 else str(bulk[0])
    print(f"{len(items)} items; give raters {send}, and keep {key} to yourself")


def kit_of(key: Path) -> str:
    """The kit that a key explains; "" where there is none."""
    try:
        return json.loads(key.read_text(encoding="utf-8"))["kit"] if key.is_file() else ""
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{key}: a damaged key; move it away and run again") from None


if __name__ == "__main__":
    cli.main(run, parser())
