"""Everything neural about a set of images in one pass: CLIPScore, Aesthetics, Inception features.

Of generated images (--images), or of the reference photographs (--reference), prepared as the
released evaluation does: no EXIF transpose, shorter side resized to --size, centre crop.
"""

import argparse
import itertools
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from diffusion4k import cli, manifest
from diffusion4k.data import captions as metadata
from diffusion4k.errors import UserError


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    what = flags.add_mutually_exclusive_group(required=True)
    what.add_argument("--images", type=Path, help="manifest of a generated shard")
    what.add_argument("--reference", action="store_true", help="the data set's photographs")
    flags.add_argument("--dataset", type=Path, required=True, help="manifest; prompts, photographs")
    flags.add_argument("--folder", required=True, help="folder inside it, e.g. eval/size_2048")
    flags.add_argument("--size", type=int, help="px; default: what the images' manifest says")
    flags.add_argument("--clip", type=Path, required=True, help="manifest of CLIP ViT-B/16")
    flags.add_argument("--clip-large", type=Path, required=True, help="manifest of CLIP ViT-L/14")
    flags.add_argument("--aesthetics-head", type=Path, required=True, help="manifest of the head")
    flags.add_argument("--inception", type=Path, required=True, help="manifest of the weights")
    flags.add_argument("--inception-clean", type=Path, help="manifest of clean-fid's network")
    flags.add_argument("--crop", type=int, default=299, help="px, of the crops for patch FID")
    flags.add_argument("--crops", type=int, default=4, help="of them along each side")
    flags.add_argument("--shard", type=int, default=0, help="of --reference")
    flags.add_argument("--shards", type=int, default=1, help="of --reference")
    flags.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    flags.add_argument("--batch", type=int, default=8, help="images at a time")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


@dataclass(frozen=True)
class Item:
    """An image to score: how to decode it, and its prompt."""

    id: str
    load: Callable
    prompt: str


NETWORKS = ("clip", "clip_large", "aesthetics_head", "inception", "inception_clean")


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from diffusion4k.metrics import inputs, scores

    started = time.time()
    names = ["dataset", *NETWORKS] + ([] if args.reference else ["images"])
    paths = {name: getattr(args, name) for name in names if getattr(args, name)}
    sources = {name: manifest.read(path) for name, path in paths.items()}
    items = read_items(args, sources)
    deciding = ("folder", "size", "reference", "crop", "crops")
    key = scores.key(paths.values(), **{name: getattr(args, name) for name in deciding})
    progress = scores.Progress(args.output, scores.Alignment, key)
    done = {item.id: saved for item in items if (saved := progress.get(item.id))}
    waiting = [item for item in items if item.id not in done]

    device = args.device
    if waiting:
        with ThreadPoolExecutor(cli.threads()) as pool:
            score, device = scorer(args, sources, pool)
            found = in_batches(waiting, max(args.batch, 1), score, pool)
            for row, features in cli.progress(
                found, total=len(waiting), desc="features", unit="image"
            ):
                progress.put(row, **features)
                done[row.id] = row, features

    rows = [done[item.id][0] for item in items]
    bulk = [args.output.with_suffix(".parquet"), args.output.with_suffix(".safetensors")]
    scores.write_rows(bulk[0], scores.Alignment, rows)
    arrays = ["features", "patches"] + (["clean"] if args.inception_clean else [])
    # (n, d) each, an image's crops in turn; an empty shard has (0, 0)
    stacked = {name: [done[item.id][1][name] for item in items] for name in arrays}
    empty = [np.empty((0, 0), np.float32)]
    scores.write_features(bulk[1], **{k: np.concatenate(v or empty) for k, v in stacked.items()})
    manifest.write(
        args.output,
        root=args.output.parent,
        files=bulk,
        inputs=paths,
        settings=vars(args),
        results={"n": len(rows)},
        started=started,
        device=str(device),
        notes=inputs.notes(*sources.values()),
    )
    progress.finish()


def read_items(args: argparse.Namespace, sources: dict) -> list[Item]:
    """The generated images with their prompts, or this shard of the photographs."""
    from diffusion4k.metrics import inputs

    if not args.reference:
        pictures = inputs.generated(sources["images"], args.size)
        samples = inputs.prompts(sources["dataset"], args.folder, pictures)
        return [Item(p.id, p.load, samples[p.id].text) for p in pictures]
    if not args.size:
        raise UserError("--reference: give the evaluation's image size by --size")

    def loader(path: Path) -> Callable:
        return lambda: inputs.photograph(path, args.size, upright=False)

    samples = metadata.read(sources["dataset"].root, args.folder)
    return [Item(s.id, loader(s.path), s.text) for s in cli.shard(samples, args.shard, args.shards)]


def in_batches(items: list[Item], size: int, score: Callable, pool: Executor) -> Iterator[tuple]:
    """Rows and features of the items in turn; while one batch is scored, the next is decoded."""
    batches = [items[start : start + size] for start in range(0, len(items), size)]
    coming = [pool.submit(item.load) for item in batches[0]] if batches else []
    for batch, following in itertools.zip_longest(batches, batches[1:], fillvalue=()):
        pictures = [picture.result() for picture in coming]
        coming = [pool.submit(item.load) for item in following]
        yield from score(batch, pictures)


def scorer(args: argparse.Namespace, sources: dict, pool: Executor) -> tuple[Callable, object]:
    """A function from items and their pictures to rows and features, and the device it runs on."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything is here; a node may have no network
    import numpy as np
    import torch

    from diffusion4k.device import choose
    from diffusion4k.metrics import aesthetics, clip, inception, inputs, scores

    torch.set_num_threads(cli.threads())
    chosen = choose(args.device)
    small = clip.Clip(sources["clip"].root, chosen, prepare=pool.map)
    large = clip.Clip(sources["clip_large"].root, chosen, prepare=pool.map)
    beauty = aesthetics.Aesthetics(large, inputs.weights(sources["aesthetics_head"]))
    network = inception.Inception(inputs.weights(sources["inception"]), chosen)
    clean = None
    if source := sources.get("inception_clean"):
        weights = inputs.weights(source)
        digest = inputs.checksum(source, weights)
        clean = inception.CleanInception(weights, digest, chosen, prepare=pool.map)

    def features(pictures: list) -> list[dict[str, np.ndarray]]:
        """An image's arrays (rows, 2048): one row of the whole, one of each crop."""
        pixels = [np.asarray(picture) for picture in pictures]
        cropped = [crop for p in pixels for crop in inception.crops(p, args.crop, args.crops)]
        found = {"features": network(pixels), "patches": network(cropped)}
        if clean:
            found["clean"] = clean(pixels)
        parts = {name: np.split(values, len(pixels)) for name, values in found.items()}
        return [{name: part[i] for name, part in parts.items()} for i in range(len(pixels))]

    def score(batch: list[Item], pictures: list) -> list[tuple[scores.Alignment, dict]]:
        aligned = small.score(pictures, [item.prompt for item in batch])
        columns = zip(batch, aligned, beauty.score(pictures), strict=True)
        rows = [
            scores.Alignment(i.id, c.published, c.with_end_token, c.n_tokens, beautiful)
            for i, c, beautiful in columns
        ]
        return list(zip(rows, features(pictures), strict=True))

    return score, chosen


if __name__ == "__main__":
    cli.main(run, parser())
