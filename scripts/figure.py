"""Make one figure of the paper as a PNG: a gallery, reconstructions, histograms, loss curves."""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, manifest
from diffusion4k.data import captions
from diffusion4k.errors import UserError

PANELS = {
    "gallery": "photographs and the pictures that models drew for their captions",
    "reconstruction": "photographs and what VAEs make of them",
    "histogram": "heights and widths of the images of splits",
    "curves": "training loss by step",
    "votes": "which of two models' pictures people, or a model that judges, prefer",
}
ALIASES = {"gallery": "--images", "histogram": "--sizes", "curves": "--losses"}


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    kinds = flags.add_subparsers(dest="kind", required=True)
    for kind, text in PANELS.items():
        one = kinds.add_parser(kind, help=text, description=f"Figure of {text}.")
        names = ["--rows", *filter(None, [ALIASES.get(kind)])]
        one.add_argument(
            *names,
            dest="rows",
            nargs="+",
            default=[],
            required=kind != "votes",  # without any, the figure says how to get them
            metavar="ROW=MANIFEST",
            help="what is shown; a row may come several times, once a shard",
        )
        one.add_argument("--spec", default="{}", help="JSON or a file: title, caption, labels, ids")
        one.add_argument("--output", type=Path, required=True, help="manifest; the PNG lies beside")
        if kind == "gallery":
            one.add_argument("--reference", type=Path, required=True, help="manifest, data set")
            one.add_argument("--folder", required=True, help="folder in it, e.g. eval/size_4096")
            one.add_argument("--size", type=int, required=True, help="px, of the generated images")
            one.add_argument(
                "--zoom", type=int, nargs=3, metavar=("TOP", "LEFT", "SIZE"),
                help="px: show this square of each picture below it"
            )  # fmt: skip
        if kind in ("gallery", "reconstruction"):
            one.add_argument("--prompts", type=int, default=6, help="pictures from top to bottom")
            one.add_argument("--tile", type=int, default=512, help="px of a picture at most")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.paper import figures, panels, spec

    started = time.time()
    wanted = spec.load(args.spec)
    spec.check_figure(wanted)
    rows = read_rows(args.rows)
    # in the order of the spec, then of the command line; one without a manifest is "not run"
    labels = {key: key for key in [*wanted.get("labels", {}), *rows]} | wanted.get("labels", {})
    shown = panels.Shown(rows, labels, wanted.get("ids", []))
    figure = draw(args, shown, wanted)

    bulk = args.output.with_suffix(".png")
    figures.save(figure, bulk)
    sources = {f"{row}:{i}": one for row, many in rows.items() for i, one in enumerate(many)}
    if args.kind == "gallery":
        sources["reference"] = manifest.read(args.reference)
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[bulk],
        inputs={name: source.path for name, source in sources.items()},
        settings=vars(args),
        results={
            "kind": args.kind,
            "title": wanted.get("title", args.output.stem),
            "caption": wanted.get("caption", ""),
        },
        started=started,
        notes=[note for source in sources.values() for note in source.notes],
    )
    print(f"{bulk}: {args.kind} of {', '.join(labels.values())}")


def draw(args: argparse.Namespace, shown, wanted: dict):
    """The figure of the kind; `shown`: a panels.Shown, `wanted`: the spec."""
    from diffusion4k.paper import panels, preference

    if args.kind == "votes":
        return preference.bars(shown, wanted.get("reason", ""))
    if args.kind == "gallery":
        captioned = captions.of(manifest.read(args.reference), args.folder)
        how = {"count": args.prompts, "size": args.size, "tile": args.tile, "zoom": args.zoom}
        return panels.gallery(shown, captioned, **how)
    if args.kind == "reconstruction":
        return panels.reconstructions(shown, count=args.prompts, tile=args.tile)
    return {"histogram": panels.sizes, "curves": panels.losses}[args.kind](shown)


def read_rows(pairs: list[str]) -> dict[str, list[manifest.Manifest]]:
    """`ROW=PATH` pairs => row: its manifests, in the order given."""
    rows: dict[str, list[manifest.Manifest]] = {}
    for pair in pairs:
        row, _, path = pair.partition("=")
        if not (row and path):
            raise UserError(f"--rows {pair}: write ROW=MANIFEST")
        rows.setdefault(row, []).append(manifest.read(path))
    return rows


if __name__ == "__main__":
    cli.main(run, parser())
