"""Score a folder of images by hand, one metric at a time; prints a small table.

  score.py glcm DIR          GLCM Score, as released and as true entropy
  score.py cr DIR            Compression Ratio of a folder of JPEGs
  score.py clip DIR          CLIPScore with the prompts of a metadata.jsonl
  score.py aesthetics DIR    LAION aesthetics
  score.py fid DIR REF       FID, KID and patch FID between two folders

Every file in the folder must be a whole image (metadata.jsonl and hidden files apart); one that is
not is named with the reason, and nothing is scored. --output writes the rows as parquet.

FID as published is of squares: give --size, to which the photographs of REF are resized and cropped
as the workflow does with its references. Weights are checked against --sha256.
"""

import argparse
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffusion4k import cli
from diffusion4k.errors import UserError
from diffusion4k.files import sha256

Row = dict[str, Any]
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
    glcm.add_argument("--patch", type=int, default=64, help="px, side of a patch")
    glcm.add_argument("--levels", type=int, default=64, help="grey levels")
    glcm.add_argument("--distances", type=int, nargs="+", default=[1, 2, 3, 4], help="px")
    glcm.add_argument("--angles", type=float, nargs="+", default=[0, 45, 90, 135], help="degrees")
    glcm.add_argument("--threads", type=int, default=cli.threads())
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
    fid.add_argument("--protocol", choices=tuple(INCEPTION), default="published")
    fid.add_argument("--sha256", help="of the weights, or its beginning; default: the protocol's")
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
    score = {"glcm": glcm, "cr": cr, "clip": clip, "aesthetics": aesthetics, "fid": fid}
    check(args)
    rows, results = score[args.metric](args)
    finite(rows)
    print(f"{'metric':<22}{'value':>12}  {'95 % interval':<22}{'n':>6}")
    for name, result in results.items():
        ends = result.get("interval")
        spread = f"[{ends[0]:.4f}, {ends[1]:.4f}]" if ends else ""
        if "standard_error" in result and not ends:
            spread = f"± {result['standard_error']:.4f} (s.e.)"
        against = f" against {result['n_reference']}" if "n_reference" in result else ""
        value = 0 if abs(result["value"]) < 5e-5 else result["value"]  # no "-0.0000"
        print(f"{name:<22}{value:>12.4f}  {spread:<22}{result['n']:>6}{against}")
    if args.output:
        import pandas as pd

        from diffusion4k.files import atomic

        with atomic(args.output) as temporary:
            pd.DataFrame(rows).to_parquet(temporary, index=False)


def check(args: argparse.Namespace) -> None:
    """Refuse what can be seen to be wrong before anything is loaded: counts, weights, --output."""
    given = {name: value for name, value in vars(args).items() if value is not None}
    for name in ("size", "threads", "crop", "crops"):
        if given.get(name, 1) < 1:
            raise UserError(f"--{name} {given[name]}: must be 1 at least")
    for name in ("weights", "head"):
        if name in given and not given[name].is_file():
            raise UserError(f"--{name} {given[name]}: no such file")
    if args.output:
        writable(args.output, args.folder)


def writable(output: Path, folder: Path) -> None:
    """Refuse an --output that could not be written, or not be read, once everything is scored."""
    if output.suffix != ".parquet" or output.is_dir():
        raise UserError(f"--output {output}: rows are written as parquet; name a .parquet file")
    if output.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"--output {output}: among the images, as one of which it would count")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output.parent):
            pass
    except OSError as error:
        raise UserError(f"--output {output}: cannot be written ({error.strerror})") from None


def finite(rows: list[Row]) -> None:
    """Refuse NaN, which damaged weights give, before it is in a mean or a file."""
    import numpy as np

    for row in rows:
        for name, value in row.items():
            if not isinstance(value, str) and not np.isfinite(value).all():
                raise UserError(f"{row['id']}: {name} is no number; are the weights whole?")


def pictures(args: argparse.Namespace) -> list:
    """Those of the folder, their headers checked; damage shows when they are decoded."""
    from diffusion4k.metrics import inputs

    found = inputs.folder(args.folder, args.size)
    for picture in found:
        picture.check()
    if others := [p for p in found if p.path.suffix.lower() not in (".jpg", ".jpeg")]:
        print(f"note: {len(others)} images are no JPEG; the workflow scores the JPEG of each")
    return found


def means(rows: list[Row]) -> dict[str, dict]:
    """Every numeric column's mean with its interval."""
    import numpy as np

    from diffusion4k.metrics import aggregate

    names = [name for name in rows[0] if isinstance(rows[0][name], float)]
    return {name: aggregate.mean(np.array([row[name] for row in rows]), seed=0) for name in names}


def glcm(args: argparse.Namespace) -> tuple[list[Row], dict]:
    import numpy as np

    from diffusion4k import images
    from diffusion4k.metrics import glcm, inputs

    settings = glcm.Settings(args.patch, args.levels, tuple(args.distances), tuple(args.angles))

    how = {"threads": args.threads, "properties": args.properties}
    found = pictures(args)
    if small := [p.path.name for p in found if min(images.sides(p.path)) < args.patch]:
        raise UserError(f"{inputs.some(small)}: no patch of {args.patch} px fits; lower --patch")
    rows = []
    for picture in cli.progress(found, desc="glcm", unit="image"):
        grey = glcm.grey(np.asarray(picture.load()))
        rows.append({"id": picture.id} | glcm.score(grey, settings, **how))
    return rows, means(rows)


def cr(args: argparse.Namespace) -> tuple[list[Row], dict]:
    import numpy as np

    from diffusion4k.generate import own_images as adopt
    from diffusion4k.metrics import aggregate, compression

    rows, said = [], []
    for picture in cli.progress(pictures(args), desc="cr", unit="image"):
        picture.load()
        height, width, size = compression.sizes(picture.path)
        raw = height * width * 3
        rows.append({"id": picture.id, "raw": raw, "bytes": size, "cr_mean": raw / size})
        said.append(adopt.jpeg_note(picture.path))
    for note in adopt.notes(args.folder, said):
        print(f"note: {note}")
    raw, packed = (np.array([row[name] for row in rows]) for name in ("raw", "bytes"))
    whole = {"value": compression.ratio(raw, packed), "n": len(rows)}
    whole |= aggregate.interval(compression.ratio, raw, packed, seed=0)
    return rows, {"cr": whole} | means(rows)


def clip(args: argparse.Namespace) -> tuple[list[Row], dict]:
    from dataclasses import asdict

    from diffusion4k import device
    from diffusion4k.data import captions as metadata
    from diffusion4k.metrics import clip, inputs

    found = pictures(args)
    where = args.prompts or args.folder
    prompts = {s.id: s.text for s in metadata.read(where, ".") if s.text.strip()}
    ids = {picture.id for picture in found}
    if unknown := [picture.id for picture in found if picture.id not in prompts]:
        raise UserError(f"{where}/metadata.jsonl has no text for {inputs.some(unknown)}")
    if missing := [id for id in prompts if id not in ids]:
        raise UserError(
            f"{args.folder}: no image for {inputs.some(missing)} of {where}/metadata.jsonl; a"
            " smaller set is another mean: bring them, or leave their lines out"
        )
    network = clip.Clip(args.clip, device.choose(args.device))
    rows = []
    for picture in cli.progress(found, desc="clip", unit="image"):
        (score,) = network.score([picture.load()], [prompts[picture.id]])
        rows.append({"id": picture.id} | asdict(score))
    long = sum(row["n_tokens"] > clip.CONTEXT for row in rows)
    return rows, means(rows) | {"long_prompts": {"value": long, "n": len(rows)}}


def aesthetics(args: argparse.Namespace) -> tuple[list[Row], dict]:
    from diffusion4k import device
    from diffusion4k.metrics import aesthetics, clip

    found = pictures(args)
    network = aesthetics.Aesthetics(clip.Clip(args.clip, device.choose(args.device)), args.head)
    rows = [
        {"id": picture.id, "aesthetics": network.score([picture.load()])[0]}
        for picture in cli.progress(found, desc="aesthetics", unit="image")
    ]
    return rows, means(rows)


def fid(args: argparse.Namespace) -> tuple[list[Row], dict]:
    import numpy as np

    from diffusion4k import device, images
    from diffusion4k.metrics import aggregate, inception, inputs

    found, photographs = pictures(args), inputs.folder(args.reference)
    for folder, members in ((args.folder, found), (args.reference, photographs)):
        if len(members) < 2:
            raise UserError(f"{folder}: 1 image; a Fréchet distance needs 2 at least")
    height, width = size = images.sides(found[0].path)
    if args.crop > min(size):
        raise UserError(f"--crop {args.crop}: more than the {height}x{width} px of the images")
    for picture in found:
        replace(picture, size=size).check()
    for path in () if args.size else [picture.path for picture in photographs]:
        if (has := images.sides(path)) != size:
            raise UserError(
                f"{path}: {has[0]}x{has[1]} px (height x width), the images have {height}x{width}:"
                " give --size, to which photographs are resized and cropped"
            )

    def photograph(picture):
        """As the workflow prepares its references."""
        if args.size:
            return inputs.photograph(picture.path, args.size, upright=False)
        return images.load_rgb(picture.path, exif_transpose=False)

    network = load_inception(args, device.choose(args.device))
    rows, sets = [], []
    loaded = (args.reference, photographs, photograph), (args.folder, found, inputs.Picture.load)
    for folder, members, load in loaded:
        features = {"whole": [], "crops": []}
        for picture in cli.progress(members, desc=folder.name, unit="image"):
            pixels = np.asarray(load(picture))
            features["whole"].append(network([pixels]))
            features["crops"].append(network(inception.crops(pixels, args.crop, args.crops)))
            row = {"id": picture.id, "set": str(folder)}
            rows.append(row | {"features": features["whole"][-1][0]})
        sets.append({name: np.stack(values) for name, values in features.items()})
    whole, crops = ([s[name] for s in sets] for name in ("whole", "crops"))
    how = {"paired": [p.id for p in found] == [p.id for p in photographs], "seed": 0}
    return rows, aggregate.distances(*whole, **how) | aggregate.patches(*crops, **how)


def load_inception(args: argparse.Namespace, chosen) -> Callable:
    """The protocol's network on the device `chosen`; UserError for weights of another checksum."""
    from diffusion4k.metrics import inception

    wanted = args.sha256 if args.sha256 is not None else INCEPTION[args.protocol]
    if not re.fullmatch("[0-9a-f]{8,64}", wanted):
        raise UserError(f"--sha256 {wanted}: needs 8 to 64 digits of 0-9 and a-f")
    digest = sha256(args.weights)
    if not digest.startswith(wanted):
        raise UserError(
            f"{args.weights}: its sha256 is {digest}, not {wanted}; give the weights of the"
            f" {args.protocol} protocol, or --sha256 for others, whose values do not compare"
        )
    if args.protocol == "clean":
        return inception.CleanInception(args.weights, digest, chosen)
    return inception.Inception(args.weights, chosen)


if __name__ == "__main__":
    cli.main(run, parser())
