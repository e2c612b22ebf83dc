"""Score a folder of images by hand, one metric at a time; prints a small table.

  score.py glcm DIR          GLCM Score, as released and as true entropy
  score.py cr DIR            Compression Ratio of a folder of JPEGs
  score.py clip DIR          CLIPScore with the prompts of a metadata.jsonl
  score.py aesthetics DIR    LAION aesthetics
  score.py fid DIR REF       FID, KID and patch FID between two folders

Every file in the folder must be a whole image (metadata.jsonl and hidden files apart); one that is
not is named with the reason, and nothing is scored. --output writes the rows as parquet.

FID as published is of squares: give --size, to which the photographs of REF are resized and cropped
as the workflow does with its references. The weights' checksum tells the protocol of FID.
"""

import argparse
import os
from pathlib import Path

from diffusion4k import cli, limits, shape
from diffusion4k.errors import UserError

# of the weights that FID's protocols mean, as in config/config.yaml
INCEPTION = {
    "published": "6726825d",
    "clean": "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
}


def parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    metrics = flags.add_subparsers(dest="metric", required=True)
    glcm = _add(metrics, "glcm")
    glcm.add_argument("--patch", type=limits.count, default=64, help="px, side of a patch")
    glcm.add_argument("--levels", type=limits.count, default=64, help="grey levels")
    glcm.add_argument("--distances", type=limits.count, nargs="+", default=[1, 2, 3, 4], help="px")
    glcm.add_argument(
        "--angles", type=limits.finite, nargs="+", default=[0, 45, 90, 135], help="degrees"
    )
    glcm.add_argument("--threads", type=limits.count, default=cli.threads())
    glcm.add_argument("--properties", action="store_true", help="contrast, energy, … too; slower")
    _add(metrics, "cr")
    clip = _add(metrics, "clip", networks=True)
    clip.add_argument("--clip", type=Path, required=True, help="folder: timm's CLIP ViT-B/16")
    clip.add_argument("--prompts", type=Path, help="folder with metadata.jsonl; default: DIR")
    aesthetics = _add(metrics, "aesthetics", networks=True)
    aesthetics.add_argument("--clip", type=Path, required=True, help="folder: timm's CLIP ViT-L/14")
    aesthetics.add_argument("--head", type=Path, required=True, help="sac+logos+ava1-l14-…pth")
    fid = _add(metrics, "fid", networks=True)
    fid.add_argument("reference", type=Path, help="folder of photographs")
    fid.add_argument("--weights", type=Path, required=True, help="of Inception")
    fid.add_argument("--protocol", choices=tuple(INCEPTION), help="default: the weights'")
    fid.add_argument("--sha256", help="of the weights, or its beginning; default: the protocol's")
    fid.add_argument("--crop", type=limits.count, help="px, of the crops for patch FID (299)")
    fid.add_argument(
        "--crops", type=limits.natural, default=4, help="of them along each side; 0: no patches"
    )
    return flags


def _add(metrics, name: str, networks: bool = False) -> argparse.ArgumentParser:
    flags = metrics.add_parser(name)
    flags.add_argument("folder", type=Path, help="of images")
    flags.add_argument("--size", type=shape.parse, help="px or HxW that every image must have")
    flags.add_argument("--output", type=Path, help="parquet to write, a row an image")
    if networks:
        flags.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    return flags


def run(args: argparse.Namespace) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    check(args)
    from diffusion4k.metrics import folder_scores

    rows, results = score(args)
    folder_scores.finite(rows)
    print(f"{'metric':<22}{'value':>12}  {'95 % interval':<22}{'n':>6}")
    for name, result in results.items():
        print(folder_scores.line(name, result))
    if args.output:
        folder_scores.write(args.output, rows)


def score(args: argparse.Namespace) -> tuple[list[dict], dict[str, dict]]:
    """The rows and results of --metric (metrics/folder_scores.py); networks are loaded last."""
    from diffusion4k.metrics import folder_scores as scores

    if args.metric == "glcm":
        from diffusion4k.metrics.glcm import Matrices

        settings = Matrices(args.patch, args.levels, tuple(args.distances), tuple(args.angles))
        members = scores.pictures(args.folder, args.size)
        options = {"threads": args.threads, "properties": args.properties}
        return scores.glcm(members, settings, **options)
    if args.metric == "cr":
        return scores.compression_ratio(args.folder, scores.pictures(args.folder, args.size))

    from diffusion4k.device import choose_exact

    if args.metric == "fid":

        def load():
            options = (args.sha256, args.protocol, INCEPTION, choose_exact(args.device))
            return scores.inception_network(args.weights, *options)

        options = {"size": args.size, "crop": args.crop, "crops": args.crops}
        return scores.fid(args.folder, args.reference, load, **options)

    from diffusion4k.metrics import aesthetics, clip

    members = scores.pictures(args.folder, args.size)
    if args.metric == "aesthetics":
        network = clip.Clip(args.clip, choose_exact(args.device))
        return scores.aesthetics(members, aesthetics.Aesthetics(network, args.head))
    prompts = scores.prompts_of(args.folder, members, args.prompts or args.folder)
    return scores.clip_score(members, prompts, clip.Clip(args.clip, choose_exact(args.device)))


def check(args: argparse.Namespace) -> None:
    """Refuse what can be seen to be wrong before anything is loaded: weights, --output."""
    for name in ("weights", "head"):
        path = getattr(args, name, None)
        if path is not None and not path.is_file():
            raise UserError(f"--{name} {path}: no such file")
    if args.output:
        writable(args.output, args.folder)


def writable(output: Path, folder: Path) -> None:
    """Refuse an --output that could not be written, or not be read, once everything is scored."""
    if output.suffix != ".parquet" or output.is_dir():
        raise UserError(f"--output {output}: rows are written as parquet; name a .parquet file")
    if output.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"--output {output}: among the images, as one of which it would count")
    cli.writable(output)


if __name__ == "__main__":
    cli.main(run, parser())
