"""Everything neural about a set of images in one pass: CLIPScore, Aesthetics, Inception features.

Of generated images (--images), as they were in memory or as their JPEGs are, or of the reference
photographs (--reference), prepared as the released evaluation does: no EXIF transpose, shorter side
resized to --size, centre crop.
"""

import argparse
import os
import time
from pathlib import Path

from diffusion4k import cli, limits, manifest, shape
from diffusion4k.data import captions, shards
from diffusion4k.errors import UserError

NETWORKS = ("clip", "clip_large", "aesthetics_head", "inception", "inception_clean")


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    what = flags.add_mutually_exclusive_group(required=True)
    what.add_argument("--images", type=Path, help="manifest of a generated shard")
    what.add_argument("--reference", action="store_true", help="the data set's photographs")
    flags.add_argument("--dataset", type=Path, required=True, help="manifest; prompts, photographs")
    flags.add_argument("--folder", required=True, help="folder inside it, e.g. eval/size_2048")
    flags.add_argument(
        "--size", type=shape.parse, help="px or HxW; default: what the images' manifest says"
    )
    flags.add_argument(
        "--score-input", choices=["memory", "jpeg"], default="memory",
        help="memory: the lossless file beside each JPEG, where there is one"
    )  # fmt: skip
    flags.add_argument("--clip", type=Path, required=True, help="manifest of CLIP ViT-B/16")
    flags.add_argument("--clip-large", type=Path, required=True, help="manifest of CLIP ViT-L/14")
    flags.add_argument("--aesthetics-head", type=Path, required=True, help="manifest of the head")
    flags.add_argument("--inception", type=Path, required=True, help="manifest of the weights")
    flags.add_argument("--inception-clean", type=Path, help="manifest of clean-fid's network")
    flags.add_argument(
        "--crop", type=limits.count, default=299, help="px, of the crops for patch FID"
    )
    flags.add_argument("--crops", type=limits.natural, default=4, help="of them along each side")
    flags.add_argument("--shard", type=limits.natural, default=0, help="of --reference")
    flags.add_argument("--shards", type=limits.count, default=1, help="of --reference")
    flags.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    flags.add_argument("--batch", type=limits.count, default=8, help="images at a time")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything is here; a node may have no network
    import torch

    from diffusion4k.device import choose_exact
    from diffusion4k.metrics import features, inputs, scores

    started = time.time()
    names = ["dataset", *NETWORKS] + ([] if args.reference else ["images"])
    paths = {name: getattr(args, name) for name in names if getattr(args, name)}
    sources = {name: manifest.read(path) for name, path in paths.items()}
    notes = inputs.notes(*sources.values())
    if args.reference:
        captioned = photographs(args, sources["dataset"])
        items = features.photographs(captioned, args.size)
        notes += enlarged(captioned, args)
    else:
        pictures = inputs.generated(sources["images"], args.size, score_input=args.score_input)
        items = features.generated(pictures, sources["dataset"], args.folder)
        notes += only_jpeg(pictures, args)
    deciding = ("folder", "size", "reference", "score_input", "crop", "crops")
    key = scores.key(paths.values(), **{name: getattr(args, name) for name in deciding})
    saves = scores.SavedScores(args.output, scores.Alignment, key)
    torch.set_num_threads(cli.threads())
    device = choose_exact(args.device)

    def load(prepare) -> features.Scorer:
        options = {"crop": args.crop, "crops": args.crops, "prepare": prepare}
        return features.Scorer(sources, device, **options)

    scored = features.score_all(items, saves, load, batch=args.batch)
    arrays = ["features", "patches"] + (["clean"] if args.inception_clean else [])
    saves.finish(
        scored,
        arrays,
        inputs=paths,
        settings=vars(args),
        started=started,
        device=str(device),
        notes=notes,
    )


def photographs(args: argparse.Namespace, dataset: manifest.Manifest) -> list:
    """This shard's captioned images of the data set."""
    if not args.size:
        raise UserError("--reference: give the evaluation's image size by --size")
    return shards.shard(captions.of(dataset, args.folder), args.shard, args.shards)


def enlarged(captioned: list, args: argparse.Namespace) -> list[str]:
    """A note when photographs are smaller than the pictures that they are compared with."""
    from diffusion4k import images

    height, width = shape.sides(args.size)
    sides = [images.sides(photograph.path) for photograph in captioned]
    note = f"{args.folder} has photographs of less than {height}x{width} px, which were enlarged"
    return [note] if any(h < height or w < width for h, w in sides) else []


def only_jpeg(pictures: list, args: argparse.Namespace) -> list[str]:
    """A note when pictures were to be scored as in memory and have no lossless file."""
    lossy = [p for p in pictures if p.path.suffix.lower() in (".jpg", ".jpeg")]
    if args.score_input == "jpeg" or not lossy:
        return []
    model = args.images.resolve().parent.parent.name
    return [f"{model} has pictures as JPEG alone: FID, CLIPScore and Aesthetics are of these"]


if __name__ == "__main__":
    cli.main(run, parser())
