"""From rows to the numbers that tables show: {metric: {"value", "n", uncertainty where valid}}.

Means over images carry a standard error and a seeded percentile bootstrap interval (95 %), the
ratio of sums an interval. FID gets neither (a bootstrap of it is invalid) but its floor; KID has
a standard error of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from diffusion4k.errors import UserError
from diffusion4k.manifest import Manifest
from diffusion4k.metrics import compression, frechet, scores

CHOICES = ("published", "corrected")
RESAMPLES, LEVEL = 1000, 0.95
PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation", "asm")
CLIP_CONTEXT = 77  # tokens; a longer prompt is cut

Results = dict[str, dict[str, Any]]


def interval(
    statistic: Callable[..., float], *columns: np.ndarray, seed: int
) -> dict[str, list[float]]:
    """{"interval": [low, high]}: percentile bootstrap over images, rows drawn together.

    Empty for fewer than two images, where nothing can be said.
    """
    n = len(columns[0])
    if n < 2:
        return {}
    random = np.random.default_rng(seed)
    draws = (random.integers(0, n, n) for _ in range(RESAMPLES))
    values = [statistic(*(column[draw] for column in columns)) for draw in draws]
    tail = 50 * (1 - LEVEL)
    return {"interval": [float(v) for v in np.percentile(values, [tail, 100 - tail])]}


def mean(values: np.ndarray, seed: int) -> dict[str, Any]:
    """Mean over images with n, standard error (deviation / sqrt n) and interval."""
    n = len(values)
    result = {"value": float(np.mean(values)), "n": n}
    if n > 1:
        result["standard_error"] = float(np.std(values, ddof=1) / np.sqrt(n))
    return result | interval(np.mean, values, seed=seed)


def texture(shards: Sequence[Manifest], *, expected: int, choice: str, seed: int) -> Results:
    """GLCM Score (`published`: of the value histogram, `corrected`: true entropy), Compression.

    And the other properties of the co-occurrence matrices, where they were scored.
    """
    more = all(shard.settings.get("properties") for shard in shards)
    rows = scores.read_rows(shards, scores.TextureProperties if more else scores.Texture, expected)
    raw, compressed = rows["height"] * rows["width"] * 3, rows["bytes"]
    column = {"published": "glcm", "corrected": "glcm_entropy"}[choice]
    ratio = {"value": compression.ratio(raw, compressed), "n": len(raw)}
    return {
        "glcm": mean(rows[column], seed),
        "glcm_entropy": mean(rows["glcm_entropy"], seed),
        "cr": ratio | interval(compression.ratio, raw, compressed, seed=seed),
        "cr_mean": mean(raw / compressed, seed),
    } | {name: mean(rows[name], seed) for name in PROPERTIES if more}


def alignment(shards: Sequence[Manifest], *, expected: int, choice: str, seed: int) -> Results:
    """CLIPScore under the chosen truncation and with an end token, Aesthetics, long prompts."""
    rows = scores.read_rows(shards, scores.Alignment, expected)
    column = {"published": "clipscore_published", "corrected": "clipscore_end_token"}[choice]
    long = int((rows["n_tokens"] > CLIP_CONTEXT).sum())
    return {
        "clipscore": mean(rows[column], seed),
        "clipscore_end_token": mean(rows["clipscore_end_token"], seed),
        "aesthetics": mean(rows["aesthetics"], seed),
        "long_prompts": {"value": long, "n": expected},
    }


def fid(
    shards: Sequence[Manifest], reference: Sequence[Manifest], *, expected: int, seed: int
) -> Results:
    """FID and KID of generated against reference images of the same ids, and the FID floor."""
    kind = scores.Alignment
    ids = [scores.read_rows(s, kind, expected)["id"].tolist() for s in (reference, shards)]
    missing = sorted(set(ids[0]) - set(ids[1]))
    if missing:
        raise UserError(
            f"{shards[0].path}: {', '.join(missing[:10])} of the reference set are not among its"
            " images; score the same evaluation"
        )
    real, generated = (scores.read_features(s, "features") for s in (reference, shards))
    # in the order of ids: no number may depend on how the work was cut into shards
    real, generated = (x[np.argsort(i)] for x, i in zip((real, generated), ids, strict=True))
    sizes = {"n": len(generated), "n_reference": len(real)}
    results: Results = {"fid": {"value": frechet.fid(real, generated), **sizes}}
    if len(real) > 2:
        value, error = frechet.kid(real, generated, seed=seed)
        results["kid"] = {"value": value, "standard_error": error, **sizes}
    if len(real) > 3:
        value, deviation = frechet.split_floor(real, seed=seed)
        half = {"n": len(real) // 2, "standard_deviation": deviation}
        results["fid_floor"] = {"value": value, **half}
    return results


def distance(shards: Sequence[Manifest], *, expected: int, seed: int) -> Results:
    """RMSE in [0, 1] and PSNR in dB to the prompts' photographs."""
    return _means(shards, scores.Distance, expected, seed)


def reconstruction(shards: Sequence[Manifest], *, expected: int, seed: int) -> Results:
    """Table 2: rFID between photographs and reconstructions, and the means of the pairs' scores."""
    means = _means(shards, scores.Reconstruction, expected, seed)
    real, rebuilt = (scores.read_features(shards, name) for name in ("real", "reconstructed"))
    return {"rfid": {"value": frechet.fid(real, rebuilt), "n": len(real)}} | means


def _means(shards: Sequence[Manifest], kind: type, expected: int, seed: int) -> Results:
    rows = scores.read_rows(shards, kind, expected)
    return {name: mean(values, seed) for name, values in rows.items() if name != "id"}


def family(
    name: str,
    shards: Sequence[Manifest],
    *,
    reference: Sequence[Manifest] = (),
    expected: int,
    choice: str = "published",
    seed: int = 0,
) -> Results:
    """The results of one metric family: texture, alignment, fid, distance or reconstruction."""
    common = {"expected": expected, "seed": seed}
    if name == "fid":
        if not reference:
            raise UserError("--family fid: give the photographs' features by --reference")
        return fid(shards, reference, **common)
    if name in ("texture", "alignment"):
        return {"texture": texture, "alignment": alignment}[name](shards, choice=choice, **common)
    return {"distance": distance, "reconstruction": reconstruction}[name](shards, **common)


FAMILIES = ("texture", "alignment", "fid", "distance", "reconstruction")
