"""Write the gallery of a run: a page with its pictures side by side, thumbnails beside it."""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, files, manifest


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--spec", required=True, help="JSON or a file: run, sets, labels, prompts")
    flags.add_argument("--images", nargs="*", default=[], metavar="MODEL:EVALUATION=MANIFEST")
    flags.add_argument(
        "--scores", nargs="*", default=[], metavar="MODEL:EVALUATION:FAMILY=MANIFEST"
    )
    flags.add_argument("--figures", nargs="*", type=Path, default=[], metavar="MANIFEST")
    flags.add_argument("--template", type=Path, required=True, help="report/gallery.html")
    flags.add_argument("--output", type=Path, required=True, help="manifest; the page beside it")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k.paper import spec
    from diffusion4k.paper.report import gallery

    started = time.time()
    wanted = spec.load(args.spec)
    inputs: dict[str, manifest.Manifest] = {}
    shards = read("--images", args.images, "MODEL:EVALUATION=MANIFEST", inputs)
    scores = read("--scores", args.scores, "MODEL:EVALUATION:FAMILY=MANIFEST", inputs)
    target = args.output.with_suffix(".html")
    thumbnails = gallery.Thumbnails(args.output.parent / "thumbnails", target)
    groups = []
    for name, about in wanted["sets"].items():
        rows = {model: of_model for (model, of), of_model in shards.items() if of == name}
        labels = {model: wanted["labels"][f"{model}:{name}"] for model in rows}
        scored: dict[str, dict[str, manifest.Manifest]] = {}
        for (model, of, family), (aggregate,) in scores.items():
            if of == name:
                scored.setdefault(model, {})[family] = aggregate
        inputs[about["dataset"]] = dataset = manifest.read(about["dataset"])
        shown = about | {"labels": labels}
        most = wanted["prompts"]
        groups.append(gallery.benchmark(name, shown, rows, scored, dataset, thumbnails, most))
    for path in args.figures:
        inputs[str(path)] = figure = manifest.read(path)
        groups.append(gallery.figure(figure, thumbnails, wanted["prompts"]))
    groups = [group for group in groups if group.items]
    notes = list(dict.fromkeys(note for source in inputs.values() for note in source.notes))
    files.write_text(target, gallery.page(args.template, wanted["run"], groups, notes))
    items = [item for group in groups for item in group.items]
    tiles = [tile for item in items for tile in item.tiles]
    pictures = sum(tile.label != gallery.PHOTOGRAPH for tile in tiles)
    small = {target.parent / tile.thumbnail for tile in tiles}
    files.keep_only(thumbnails.folder, small)
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[target, *small],
        inputs={name: source.path for name, source in inputs.items()},
        settings=vars(args),
        results={"pictures": pictures, "prompts": len({item.prompt for item in items})},
        started=started,
        notes=notes,
    )
    print(f"{target}: {pictures} pictures")


def read(flag: str, pairs: list[str], form: str, inputs: dict[str, manifest.Manifest]) -> dict:
    """`A:B=PATH` pairs => (A, B): its manifests in order, which are added to `inputs` by path."""
    grouped: dict[tuple[str, ...], list[manifest.Manifest]] = {}
    for key, path in cli.named(flag, pairs, form):
        inputs[path] = inputs.get(path) or manifest.read(path)
        grouped.setdefault(key, []).append(inputs[path])
    return grouped


if __name__ == "__main__":
    cli.main(run, parser())
