"""The metrics of a folder of images, or of two, as scripts/score.py prints them.

Each gives the rows (an image's id and its scores) and the results, by metric: value, n, and an
interval or a standard error. Every image is checked by its header before any is scored; damage
shows when it is decoded.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from diffusion4k import cli, images
from diffusion4k.data import captions, jpeg
from diffusion4k.errors import UserError
from diffusion4k.files import atomic, sha256
from diffusion4k.metrics import aggregate, inputs
from diffusion4k.metrics.inputs import Picture

CROP = 299  # px, the published side of a crop for patch FID
Row = dict[str, Any]
Scores = tuple[list[Row], dict[str, dict]]


def pictures(folder: Path, size: int | None = None) -> list[Picture]:
    """Those of the folder, their headers checked; `size`: px that every side must have."""
    members = inputs.folder(folder, size)
    for picture in members:
        picture.check()
    if others := [p for p in members if p.path.suffix.lower() not in (".jpg", ".jpeg")]:
        print(f"note: {len(others)} images are no JPEG; the workflow scores the JPEG of each")
    return members


def finite(rows: list[Row]) -> None:
    """Refuse NaN, which damaged weights give, before it is in a mean or a file."""
    for row in rows:
        for name, value in row.items():
            if not isinstance(value, str) and not np.isfinite(value).all():
                raise UserError(f"{row['id']}: {name} is no number; are the weights whole?")


def line(name: str, result: dict) -> str:
    """A line of the table: name, value, interval or standard error, numbers of images."""
    ends = result.get("interval")
    spread = f"[{ends[0]:.4f}, {ends[1]:.4f}]" if ends else ""
    if "standard_error" in result and not ends:
        spread = f"± {result['standard_error']:.4f} (s.e.)"
    against = f" against {result['n_reference']}" if "n_reference" in result else ""
    value = 0 if abs(result["value"]) < 5e-5 else result["value"]  # no "-0.0000"
    return f"{name:<22}{value:>12.4f}  {spread:<22}{result['n']:>6}{against}"


def write(path: Path, rows: list[Row]) -> None:
    """The rows as parquet, atomically."""
    import pandas as pd

    with atomic(path) as temporary:
        pd.DataFrame(rows).to_parquet(temporary, index=False)


def means(rows: list[Row]) -> dict[str, dict]:
    """Every numeric column's mean with its interval."""
    names = [name for name in rows[0] if isinstance(rows[0][name], float)]
    return {name: aggregate.mean(np.array([row[name] for row in rows]), seed=0) for name in names}


def glcm(members: Sequence[Picture], settings, *, threads: int, properties: bool) -> Scores:
    """GLCM Score, as released and as true entropy; `settings`: a glcm.Matrices."""
    from diffusion4k.metrics import glcm

    if small := [p.path.name for p in members if min(images.sides(p.path)) < settings.patch]:
        names = inputs.some(small)
        raise UserError(f"{names}: no patch of {settings.patch} px fits; lower --patch")
    rows = []
    for picture in cli.progress(members, desc="glcm", unit="image"):
        grey = glcm.grey(np.asarray(picture.load()))
        scores = glcm.score(grey, settings, threads=threads, properties=properties)
        rows.append({"id": picture.id} | scores)
    return rows, means(rows)


def compression_ratio(folder: Path, members: Sequence[Picture]) -> Scores:
    """Compression Ratio of the set, and the mean of the images'; notes of other encodings."""
    from diffusion4k.metrics import compression

    rows, notes = [], []
    for picture in cli.progress(members, desc="cr", unit="image"):
        picture.load()
        height, width, size = compression.sizes(picture.path)
        raw = height * width * 3
        rows.append({"id": picture.id, "raw": raw, "bytes": size, "cr_mean": raw / size})
        notes.append(jpeg.note(picture.path))
    for note in jpeg.notes(folder, notes):
        print(f"note: {note}")
    raw, packed = (np.array([row[name] for row in rows]) for name in ("raw", "bytes"))
    whole = {"value": compression.ratio(raw, packed), "n": len(rows)}
    whole |= aggregate.interval(compression.ratio, raw, packed, seed=0)
    return rows, {"cr": whole} | means(rows)


def clip_score(members: Sequence[Picture], prompts: dict[str, str], network) -> Scores:
    """CLIPScore with each image's prompt, by its id; `network`: a metrics.clip.Clip."""
    from diffusion4k.metrics import clip

    rows = []
    for picture in cli.progress(members, desc="clip", unit="image"):
        (score,) = network.score([picture.load()], [prompts[picture.id]])
        rows.append({"id": picture.id} | asdict(score))
    long = sum(row["n_tokens"] > clip.CONTEXT for row in rows)
    return rows, means(rows) | {"long_prompts": {"value": long, "n": len(rows)}}


def prompts_of(folder: Path, members: Sequence[Picture], where: Path) -> dict[str, str]:
    """id => text in the metadata.jsonl of `where`; UserError unless ids and images are the same."""
    prompts = {s.id: s.text for s in captions.read(where, ".") if s.text.strip()}
    ids = {picture.id for picture in members}
    if unknown := [picture.id for picture in members if picture.id not in prompts]:
        raise UserError(f"{where}/metadata.jsonl has no text for {inputs.some(unknown)}")
    if missing := [id for id in prompts if id not in ids]:
        raise UserError(
            f"{folder}: no image for {inputs.some(missing)} of {where}/metadata.jsonl; a"
            " smaller set is another mean: bring them, or leave their lines out"
        )
    return prompts


def aesthetics(members: Sequence[Picture], network) -> Scores:
    """LAION aesthetics; `network`: a metrics.aesthetics.Aesthetics."""
    rows = [
        {"id": picture.id, "aesthetics": network.score([picture.load()])[0]}
        for picture in cli.progress(members, desc="aesthetics", unit="image")
    ]
    return rows, means(rows)


def fid(
    folder: Path,
    reference: Path,
    load: Callable,
    *,
    size: int | None,
    crop: int | None,
    crops: int,
) -> Scores:
    """FID, KID and patch FID between the images of `folder` and the photographs of `reference`.

    `crop`: px of the crops for patch FID; None: CROP, or no patch FID where images are smaller.
    `crops`: of them along each side, 0 for no patch FID. `size`: px to which photographs are
    resized and cropped, as the workflow does; None where they have the images' size already.
    `load` gives the network: uint8 images => (n, 2048).
    """
    from diffusion4k.metrics import inception

    members, photographs = pictures(folder, size), inputs.folder(reference)
    for where, some in ((folder, members), (reference, photographs)):
        if len(some) < 2:
            raise UserError(f"{where}: 1 image; a Fréchet distance needs 2 at least")
    shorter = min(images.sides(members[0].path))
    if crop is None and crops and shorter < CROP:
        print(f"note: no patch FID of images of {shorter} px, less than a crop of {CROP}: --crop")
        crops = 0
    crop = crop or CROP
    _check_sizes(members, photographs, crop if crops else 0, resized=bool(size))

    def photograph(picture: Picture):
        """As the workflow prepares its references."""
        if size:
            return inputs.photograph(picture.path, size, upright=False)
        return images.load_rgb(picture.path, exif_transpose=False)

    network, rows, sets = load(), [], []
    for where, some, decode in (
        (reference, photographs, photograph),
        (folder, members, Picture.load),
    ):
        features = {"whole": [], "crops": []}
        for picture in cli.progress(some, desc=where.name, unit="image"):
            pixels = np.asarray(decode(picture))
            features["whole"].append(network([pixels]))
            if crops:
                features["crops"].append(network(inception.crops(pixels, crop, crops)))
            row = {"id": picture.id, "set": str(where)}
            rows.append(row | {"features": features["whole"][-1][0]})
        sets.append({name: np.stack(values) for name, values in features.items() if values})
    options = {"paired": [p.id for p in members] == [p.id for p in photographs], "seed": 0}
    results = aggregate.distances(*(s["whole"] for s in sets), **options)
    if crops:
        results |= aggregate.patches(*(s["crops"] for s in sets), **options)
    return rows, results


def _check_sizes(
    members: Sequence[Picture], photographs: Sequence[Picture], crop: int, *, resized: bool
) -> None:
    """UserError unless all images, and the photographs unless they are resized, have one size."""
    height, width = size = images.sides(members[0].path)
    if crop > min(size):
        raise UserError(f"--crop {crop}: more than the {height}x{width} px of the images")
    for picture in members:
        replace(picture, size=size).check()
    for path in () if resized else [picture.path for picture in photographs]:
        if (has := images.sides(path)) != size:
            raise UserError(
                f"{path}: {has[0]}x{has[1]} px (height x width), the images have {height}x{width}:"
                " give --size, to which photographs are resized and cropped"
            )


def inception_network(
    weights: Path, wanted: str | None, protocol: str | None, known: dict[str, str], device
) -> Callable:
    """The network of FID's `protocol`, published or clean; None: what its weights are of.

    UserError unless the sha256 of the weights begins with `wanted`, or with what is `known` of the
    protocol: protocol => the checksum's beginning.
    """
    from diffusion4k.metrics import inception

    if protocol is None and wanted is None:
        digest = sha256(weights)
        protocol = next((name for name in known if digest.startswith(known[name])), None)
        if protocol is None:
            raise UserError(
                f"{weights}: its sha256 is {digest}, of no protocol of FID ({', '.join(known)});"
                f" --sha256 {digest[:8]} takes it, for values that do not compare"
            )
    protocol = protocol or "published"
    wanted = known[protocol] if wanted is None else wanted
    if not re.fullmatch("[0-9a-f]{8,64}", wanted):
        raise UserError(f"--sha256 {wanted}: needs 8 to 64 digits of 0-9 and a-f")
    digest = sha256(weights)
    if not digest.startswith(wanted):
        raise UserError(
            f"{weights}: its sha256 is {digest}, not {wanted}; give the weights of the"
            f" {protocol} protocol, or --sha256 for others, whose values do not compare"
        )
    if protocol == "clean":
        return inception.CleanInception(weights, digest, device)
    return inception.Inception(weights, device)
