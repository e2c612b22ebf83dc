"""Score a folder of images by hand, one metric at a time; prints a small table.

  score.py glcm DIR          GLCM Score and the other properties of co-occurrence matrices
  score.py cr DIR            Compression Ratio of a folder of JPEGs
  score.py clip DIR          CLIPScore with the prompts of a metadata.jsonl
  score.py aesthetics DIR    LAION aesthetics
  score.py fid DIR REF       FID, KID and patch FID between two folders

Every file in the folder must be a whole image (metadata.jsonl and hidden files apart); one that is
not is named with the reason, and nothing is scored. --output writes the rows as parquet.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diffusion4k import cli
from diffusion4k.errors import UserError

Row = dict[str, Any]
INCEPTION_CLEAN = "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4"


def parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    metrics = flags.add_subparsers(dest="metric", required=True)
    glcm = _add(metrics, "glcm")
    glcm.add_argument("--patch", type=int, default=64, help="px, side of a patch")
    glcm.add_argument("--levels", type=int, default=64, help="grey levels")
    glcm.add_argument("--distances", type=int, nargs="+", default=[1, 2, 3, 4], help="px")
    glcm.add_argument("--angles", type=float, nargs="+", default=[0, 45, 90, 135], help="degrees")
    glcm.add_argument("--threads", type=int, default=cli.threads())
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
    fid.add_argument("--protocol", choices=("published", "clean"), default="published")
    fid.add_argument("--sha256", default=INCEPTION_CLEAN, help="of clean-fid's weights")
    fid.add_argument("--crop", type=int, default=299, help="px, of the crops for patch FID")
    fid.add_argument("--crops", type=int, default=4, help="of them along each side")
    return flags


def _add(metrics, name: str, networks: bool = False) -> argparse.ArgumentParser:
    flags = metrics.add_parser(name)
    flags.add_argument("folder", type=Path, help="of images")
    flags.add_argument("--size", type=int, help="px that every image's sides must have")
    flags.add_argument("--output", type=Path, help="parquet to write, a row an image")
    if networks:
        flags.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    return flags


def run(args: argparse.Namespace) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    score: dict[str, Callable] = {"glcm": glcm, "cr": cr, "clip": clip}
    score |= {"aesthetics": aesthetics, "fid": fid}
    rows, results = score[args.metric](args)
    print(f"{'metric':<22}{'value':>12}  {'95 % interval':<22}{'n':>6}")
    for name, result in results.items():
        ends = result.get("interval")
        spread = f"[{ends[0]:.4f}, {ends[1]:.4f}]" if ends else ""
        if "standard_error" in result and not ends:
            spread = f"± {result['standard_error']:.4f} (s.e.)"
        print(f"{name:<22}{result['value']:>12.4f}  {spread:<22}{result['n']:>6}")
    if args.output:
        import pandas as pd

        from diffusion4k.files import atomic

        with atomic(args.output) as temporary:
            pd.DataFrame(rows).to_parquet(temporary, index=False)


def pictures(args: argparse.Namespace, folder: Path | None = None) -> list:
    from diffusion4k.metrics import inputs

    return inputs.folder(folder or args.folder, args.size)


def means(rows: list[Row]) -> dict[str, dict]:
    """Every numeric column's mean with its interval."""
    import numpy as np

    from diffusion4k.metrics import aggregate

    names = [name for name in rows[0] if isinstance(rows[0][name], float)]
    return {name: aggregate.mean(np.array([row[name] for row in rows]), seed=0) for name in names}


def glcm(args: argparse.Namespace) -> tuple[list[Row], dict]:
    import numpy as np

    from diffusion4k.metrics import glcm

    settings = glcm.Settings(args.patch, args.levels, tuple(args.distances), tuple(args.angles))

    def score(picture) -> Row:
        grey = glcm.grey(np.asarray(picture.load()))
        found = glcm.score(grey, settings, threads=args.threads, properties=True)
        return {"id": picture.id} | found

    rows = [score(picture) for picture in cli.progress(pictures(args), desc="glcm", unit="image")]
    return rows, means(rows)


def cr(args: argparse.Namespace) -> tuple[list[Row], dict]:
    import numpy as np

    from diffusion4k.metrics import aggregate, compression

    rows = []
    for picture in cli.progress(pictures(args), desc="cr", unit="image"):
        picture.load()
        height, width, size = compression.sizes(picture.path)
        raw = height * width * 3
        rows.append({"id": picture.id, "raw": raw, "bytes": size, "cr_mean": raw / size})
    raw, packed = (np.array([row[name] for row in rows]) for name in ("raw", "bytes"))
    whole = {"value": compression.ratio(raw, packed), "n": len(rows)}
    whole |= aggregate.interval(compression.ratio, raw, packed, seed=0)
    return rows, {"cr": whole} | means(rows)


def clip(args: argparse.Namespace) -> tuple[list[Row], dict]:
    from dataclasses import asdict

    from diffusion4k import metadata
    from diffusion4k.metrics import clip, device

    found = pictures(args)
    where = args.prompts or args.folder
    prompts = {sample.id: sample.text for sample in metadata.read(where, ".")}
    if missing := [picture.id for picture in found if picture.id not in prompts]:
        raise UserError(f"{where}/metadata.jsonl has no text for {', '.join(missing[:10])}")
    network = clip.Clip(args.clip, device.choose(args.device))
    rows = []
    for picture in cli.progress(found, desc="clip", unit="image"):
        (score,) = network.score([picture.load()], [prompts[picture.id]])
        rows.append({"id": picture.id} | asdict(score))
    long = sum(row["n_tokens"] > clip.CONTEXT for row in rows)
    return rows, means(rows) | {"long_prompts": {"value": long, "n": len(rows)}}


def aesthetics(args: argparse.Namespace) -> tuple[list[Row], dict]:
    from diffusion4k.metrics import aesthetics, clip, device

    network = aesthetics.Aesthetics(clip.Clip(args.clip, device.choose(args.device)), args.head)
    rows = [
        {"id": picture.id, "aesthetics": network.score([picture.load()])[0]}
        for picture in cli.progress(pictures(args), desc="aesthetics", unit="image")
    ]
    return rows, means(rows)


def fid(args: argparse.Namespace) -> tuple[list[Row], dict]:
    import numpy as np

    from diffusion4k.metrics import aggregate, device, inception

    chosen = device.choose(args.device)
    if args.protocol == "clean":
        network = inception.CleanInception(args.weights, args.sha256, chosen)
    else:
        network = inception.Inception(args.weights, chosen)
    rows, sets = [], []
    for folder in (args.reference, args.folder):
        features = {"whole": [], "crops": []}
        for picture in cli.progress(pictures(args, folder), desc=folder.name, unit="image"):
            pixels = np.asarray(picture.load())
            features["whole"].append(network([pixels]))
            features["crops"].append(network(inception.crops(pixels, args.crop, args.crops)))
            rows.append(
                {"id": picture.id, "set": str(folder), "features": features["whole"][-1][0]}
            )
        sets.append({name: np.stack(values) for name, values in features.items()})
    whole, crops = ([s[name] for s in sets] for name in ("whole", "crops"))
    return rows, aggregate.distances(*whole, seed=0) | aggregate.patches(*crops, seed=0)


if __name__ == "__main__":
    cli.main(run, parser())
