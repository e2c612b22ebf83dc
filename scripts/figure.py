"""Draw one figure of the paper, as PNG, PDF and LaTeX: what it shows is its kind's.

  python scripts/figure.py gallery --spec spec.json --rows sd3_f16=pictures.json --output out.json

A kind is a module in diffusion4k/figures/kinds. The spec holds title, caption, labels of the rows,
and the settings of the kind, as the figure's entry in the configuration has them.
"""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, files, manifest
from diffusion4k.figures import kinds


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("kind", choices=[*kinds.every()])
    flags.add_argument(
        "--rows", nargs="+", default=[], metavar="ROW=MANIFEST",
        help="what is shown; a row may come several times, once a shard"
    )  # fmt: skip
    flags.add_argument("--spec", default="{}", help="JSON or a file: title, labels, settings …")
    flags.add_argument("--reference", type=Path, help="manifest of the photographs' data set")
    flags.add_argument("--folder", default=".", help="folder in it, e.g. eval/size_4096")
    flags.add_argument("--output", type=Path, required=True, help="manifest; its forms beside it")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.figures import canvas, shown
    from diffusion4k.paper import spec, tex

    started = time.time()
    wanted = spec.load(args.spec)
    spec.check_figure(wanted)
    rows = read_rows(args.rows)
    reference = manifest.read(args.reference) if args.reference else None
    # in the order of the spec; one without a manifest is "not run"
    labels = wanted.get("labels") or {row: row for row in rows}
    of = shown.Shown(rows, labels, wanted.get("settings", {}), reference, args.folder)
    drawing = kinds.get(args.kind).draw(of)

    bulk = {form: args.output.with_suffix(f".{form}") for form in ("png", "pdf")}
    canvas.save(drawing.figure, bulk)
    sources = {f"{row}:{i}": source for row, many in rows.items() for i, source in enumerate(many)}
    if reference:
        sources["reference"] = reference
    title = wanted.get("title", args.output.stem)
    caption = " ".join(filter(None, [wanted.get("caption"), *drawing.remarks]))
    of_sources = (note for source in sources.values() for note in source.notes)
    notes = list(dict.fromkeys([*wanted.get("footer", []), *of_sources]))
    bulk["tex"] = args.output.with_suffix(".tex")
    text = tex.figure(args.output.stem, bulk["pdf"].name, title, caption, notes)
    files.write_text(bulk["tex"], text)
    manifest.write(
        args.output,
        root=args.output.parent,
        files=bulk.values(),
        inputs={name: source.path for name, source in sources.items()},
        settings=vars(args),
        results={
            "kind": args.kind,
            "title": title,
            "caption": caption,
            "pictures": drawing.pictures,
        },
        started=started,
        notes=notes,
    )
    print(f"{bulk['png']}: {args.kind} of {', '.join(labels.values())}")


def read_rows(pairs: list[str]) -> dict[str, list[manifest.Manifest]]:
    """`ROW=PATH` pairs => row: its manifests, in the order given; one file is read once."""
    rows: dict[str, list[manifest.Manifest]] = {}
    read: dict[str, manifest.Manifest] = {}
    for (row,), path in cli.named("--rows", pairs, "ROW=MANIFEST"):
        read[path] = read.get(path) or manifest.read(path)
        rows.setdefault(row, []).append(read[path])
    return rows


if __name__ == "__main__":
    cli.main(run, parser())
