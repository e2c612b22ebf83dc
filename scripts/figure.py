"""Make one figure of the paper as a PNG: a gallery, reconstructions, histograms, loss curves."""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, manifest
from diffusion4k.data import captions as metadata
from diffusion4k.errors import UserError

PANELS = {
    "gallery": "photographs and the pictures that models drew for their captions",
    "reconstruction": "photographs and what VAEs make of them",
    "histogram": "heights and widths of the images of splits",
    "curves": "training loss by step",
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
            required=True,
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
    from diffusion4k.paper import figures, spec

    started = time.time()
    wanted = spec.load(args.spec)
    spec.check_figure(wanted)
    rows = read_rows(args.rows)
    # in the order of the spec, then of the command line; one without a manifest is "not run"
    labels = {key: key for key in [*wanted.get("labels", {}), *rows]} | wanted.get("labels", {})
    draw = {
        "gallery": gallery,
        "reconstruction": reconstruction,
        "histogram": histogram,
        "curves": curves,
    }[args.kind]
    figure = draw(args, wanted, rows, labels)

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


def gallery(args: argparse.Namespace, wanted: dict, rows: dict, labels: dict):
    """Rows: prompts; columns: the photograph, then each model in the order of the labels.

    With --zoom a prompt has a second row, the same small square of each picture.
    """
    from diffusion4k import images
    from diffusion4k.paper import figures

    samples = metadata.read(manifest.read(args.reference).root, args.folder)
    by_id = {sample.id: sample for sample in samples}
    ids = wanted.get("ids") or list(by_id)[: args.prompts]
    if unknown := [name for name in ids if name not in by_id]:
        raise UserError(f"figure spec, ids: {unknown[0]!r} is not in {args.folder}")
    side = figures.tile_side(args.size, args.tile)
    made = {
        key: figures.shards_by_id([path for shard in rows.get(key, []) for path in shard.paths()])
        for key in labels
    }
    lines = []
    for name in cli.progress(ids, desc="gallery", unit="prompt"):
        drawn = [files.get(name) for files in made.values()]
        photograph = figures.photograph(by_id[name].path, side)
        pictures = [path and figures.picture(path, side) for path in drawn]
        lines.append((by_id[name].text, [photograph, *pictures]))
        if args.zoom:
            top, left, square = args.zoom
            whole = figures.photograph(by_id[name].path, args.size)
            patches = [figures.fit(images.crop(whole, top, left, square), side)]
            patches += [path and figures.picture(path, side, args.zoom) for path in drawn]
            lines.append((f"{square} x {square} px from row {top}, column {left}", patches))
    return figures.grid(["photograph", *(labels[key] for key in made)], lines, side=side)


def reconstruction(args: argparse.Namespace, wanted: dict, rows: dict, labels: dict):
    """Rows: photographs; columns: the photograph, then each VAE's reconstruction."""
    from diffusion4k.paper import figures

    pairs = {
        key: figures.pairs([path for shard in rows.get(key, []) for path in shard.paths()])
        for key in labels
    }
    names = list(dict.fromkeys(name for found in pairs.values() for name in found))
    if not names:
        raise UserError(f"{args.rows[0]}: no pictures in it; reconstruct with --pictures")
    names = wanted.get("ids") or names[: args.prompts]
    side = figures.tile_side(args.tile, args.tile)
    lines = []
    for name in names:
        found = [pair.get(name) for pair in pairs.values()]
        real = next((pair[0] for pair in found if pair), None)
        line = [real, *(pair and pair[1] for pair in found)]
        lines.append(("", [path and figures.picture(path, side) for path in line]))
    return figures.grid(["photograph", *(labels[key] for key in pairs)], lines, side=side)


def histogram(args: argparse.Namespace, wanted: dict, rows: dict, labels: dict):
    """The parquet of sizes of each split's check."""
    from diffusion4k.paper import figures

    return figures.histograms(tables(rows, labels, ".parquet", ["height", "width"]))


def curves(args: argparse.Namespace, wanted: dict, rows: dict, labels: dict):
    """The loss.parquet of each model's last step."""
    from diffusion4k.paper import figures

    return figures.curves(tables(rows, labels, "loss.parquet", ["step", "loss"]))


def tables(rows: dict, labels: dict, suffix: str, columns: list[str]) -> dict:
    """label => the one table of each row's bulk whose name ends in `suffix`."""
    import pandas as pd

    found = {}
    for key in labels:
        for source in rows.get(key, []):
            paths = [path for path in source.paths() if path.name.endswith(suffix)]
            if len(paths) != 1:
                raise UserError(f"{source.path}: {len(paths)} files *{suffix}, one needed")
            table = pd.read_parquet(paths[0])
            if missing := set(columns) - set(table.columns):
                raise UserError(f"{paths[0]}: no column {', '.join(sorted(missing))}")
            if table.empty:
                raise UserError(f"{paths[0]}: empty; make it again")
            found[labels[key]] = table[columns]
    return found


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
