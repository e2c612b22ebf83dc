"""From rows to the numbers that tables show: {metric: {"value", "n", uncertainty where valid}}.

Means over images carry a standard error and a seeded percentile bootstrap interval (95 %), the
ratio of sums an interval. FID gets neither (a bootstrap of it is invalid) but its floor; KID has
a standard error of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from diffusion4k.errors import UserError
from diffusion4k.manifest import Manifest
from diffusion4k.metrics import families, frechet, scores
from diffusion4k.metrics.families import Results

RESAMPLES, LEVEL = 1000, 0.95
MOST_CROPS = 4000  # of a set in its patch KID, which needs n x n matrices


def interval(
    statistic: Callable[..., float],
    *columns: np.ndarray,
    seed: int,
    prompts: np.ndarray | None = None,
) -> dict[str, list[float]]:
    """{"interval": [low, high]}: percentile bootstrap over images, rows drawn together.

    Where several rows are of one prompt, which makes them alike, `prompts` names each row's: then
    prompts are drawn, each with all of its rows. Empty for fewer than two images or prompts, where
    nothing can be said.
    """
    clusters = None
    if prompts is not None:
        clusters = [np.flatnonzero(prompts == prompt) for prompt in np.unique(prompts)]
    n = len(columns[0]) if clusters is None else len(clusters)
    if n < 2:
        return {}
    random = np.random.default_rng(seed)
    draws = (random.integers(0, n, n) for _ in range(RESAMPLES))
    if clusters is not None:
        draws = (np.concatenate([clusters[i] for i in draw]) for draw in draws)
    values = [statistic(*(column[draw] for column in columns)) for draw in draws]
    tail = 50 * (1 - LEVEL)
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return {"interval": [float(low), float(high)]}


def mean(values: np.ndarray, seed: int) -> dict[str, Any]:
    """Mean over images with n, standard error (deviation / sqrt n) and interval."""
    n = len(values)
    result = {"value": float(np.mean(values)), "n": n}
    if n > 1:
        result["standard_error"] = float(np.std(values, ddof=1) / np.sqrt(n))
    return result | interval(np.mean, values, seed=seed)


def rows(family: str, shards: Sequence[Manifest], expected: int) -> dict[str, np.ndarray]:
    """The columns of a family's shards, with those that it derives from them."""
    of = families.get(family)
    columns = scores.read_rows(shards, of.row_type(shards), expected)
    of.derive(columns, shards)
    return columns


def summary(family: str, columns: Mapping[str, np.ndarray], seed: int) -> Results:
    """The family's statistics over all rows, with their uncertainty."""
    results: Results = {}
    for metric, (statistic, names) in families.get(family).statistics(columns).items():
        values = [columns[name] for name in names]
        if statistic is np.mean:
            results[metric] = mean(values[0], seed)
        else:
            ratio = {"value": float(statistic(*values)), "n": len(values[0])}
            results[metric] = ratio | interval(statistic, *values, seed=seed)
    return results


def fid(
    shards: Sequence[Manifest], reference: Sequence[Manifest], *, expected: int, seed: int
) -> Results:
    """FID (as published and clean-fid's), KID and the floor, of generated against real images.

    The same of crops: patch_fid and patch_kid, with the number of crops. Both sets must have the
    same ids, and so are pairs (see frechet.kid); `fid_clean` is there when both were scored by
    clean-fid's network.
    """
    kind = scores.Alignment
    ids = [scores.read_rows(s, kind, expected)["id"].tolist() for s in (reference, shards)]
    missing = sorted(set(ids[0]) - set(ids[1]))
    if missing:
        raise UserError(
            f"{shards[0].path}: {', '.join(missing[:10])} of the reference set are not among its"
            " images; score the same evaluation"
        )
    # in the order of ids: no number may depend on how the work was cut into shards
    orders = [np.argsort(i) for i in ids]

    def pair(name: str) -> list[np.ndarray]:
        sets = zip((reference, shards), orders, strict=True)
        features = [(scores.read_features(s, name), order) for s, order in sets]
        return [x.reshape(expected, -1, x.shape[1])[order] for x, order in features]

    results = distances(*pair("features"), paired=True, seed=seed)
    if all(scores.has_features(s, "clean") for s in (reference, shards)):
        real, generated = pair("clean")
        value = frechet.fid(real[:, 0], generated[:, 0])
        results["fid_clean"] = {"value": value, "n": expected, "n_reference": expected}
        results |= floor("fid_clean", real, seed)
    return results | patches(*pair("patches"), paired=True, seed=seed)


def distances(
    real: np.ndarray, generated: np.ndarray, *, paired: bool = False, seed: int
) -> Results:
    """fid, kid, kid_usual and fid_floor of (images, 1, d) features, of as many images as there are.

    `paired`: image i of both sets is of one prompt: `kid` leaves such pairs out, `kid_usual` does
    not, as no other program does; see frechet.kid.
    """
    real, generated = real[:, 0], generated[:, 0]
    sizes = {"n": len(generated), "n_reference": len(real)}
    results: Results = {"fid": {"value": frechet.fid(real, generated), **sizes}}
    if min(sizes.values()) > 2:
        for name, pairs in (("kid", paired), ("kid_usual", False)):
            value, error = frechet.kid(real, generated, paired=pairs, seed=seed)
            results[name] = {"value": value, "standard_error": error, **sizes}
    return results | floor("fid", real, seed)


def floor(metric: str, real: np.ndarray, seed: int) -> Results:
    """{metric_floor} of photographs' features, (images, [crops,] d); see frechet.floor.

    Its n is that of the metric where it is extrapolated, else smaller; `splits` are the distances
    that it comes from. Empty for fewer than four images.
    """
    if len(real) < 4:
        return {}
    estimate = frechet.floor(real, seed=seed)
    method = "parabola in log n through log FID" if estimate.extrapolated else "halves"
    splits = [asdict(split) for split in estimate.splits]
    result = {"value": estimate.value, "n": estimate.n, "method": method, "splits": splits}
    return {f"{metric}_floor": result}


def patches(real: np.ndarray, generated: np.ndarray, *, paired: bool = False, seed: int) -> Results:
    """patch_fid, floor and patch_kid of (images, crops, d) features; `paired` as in `distances`."""
    crops, width = real.shape[1:]
    pair = [x.reshape(-1, width) for x in (real, generated)]
    sizes = {"n": len(generated), "crops": len(generated) * crops}
    results: Results = {"patch_fid": {"value": frechet.fid(*pair), **sizes}}
    results |= floor("patch_fid", real, seed)
    if min(len(real), len(generated)) > 2:
        random = np.random.default_rng(seed)
        most = max(MOST_CROPS // crops, 3)
        orders = [random.permutation(len(x))[:most] for x in (real, generated)]
        if paired:
            orders[1] = orders[0]
        thinned = [x[order] for x, order in zip((real, generated), orders, strict=True)]
        pair = [x.reshape(-1, width) for x in thinned]
        value, error = frechet.kid(*pair, crops=crops, paired=paired, seed=seed)
        sizes = {"n": len(thinned[1]), "crops": len(pair[1])}
        results["patch_kid"] = {"value": value, "standard_error": error, **sizes}
    return results


def reconstruction(shards: Sequence[Manifest], *, expected: int, seed: int) -> Results:
    """Table 2: rFID of photographs and reconstructions, whole and cropped, and the pairs' means.

    It has no floor: both sets are the same images, whose sampling moves it little.
    """
    means = summary("reconstruction", rows("reconstruction", shards, expected), seed)
    results: Results = {}
    for name, suffix in (("rfid", ""), ("patch_rfid", "_patches")):
        pair = [scores.read_features(shards, kind + suffix) for kind in ("real", "reconstructed")]
        results[name] = {"value": frechet.fid(*pair), "n": expected}
    results["patch_rfid"]["crops"] = len(pair[0])
    return results | means
