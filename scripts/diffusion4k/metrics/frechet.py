"""Distances between two sets of features: Frechet (FID) and kernel (KID), in float64.

Features are (n, d) arrays, one row an image (d = 2048 for Inception). FID is biased upwards for
small n (two samples of one distribution: about 150 at n = 195, 27 at n = 2,781), so it is shown
with n and with its floor, what photographs score against others; KID is unbiased, of paired sets
too, and has a standard error. A percentile bootstrap of FID would be invalid and is not offered.
"""

from dataclasses import dataclass

import numpy as np

from diffusion4k.errors import UserError


def fid(real: np.ndarray, generated: np.ndarray) -> float:
    """Frechet distance between Gaussians fitted to (n, d) and (m, d) features (Heusel 2017).

    |mu1 - mu2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2), with covariances divided by n - 1. Exact for
    any n >= 2: below the dimension the covariances are singular, and the last term is the nuclear
    norm of A B^T for the centred features A, B (scaled by 1 / sqrt(n - 1)), which needs no d x d
    matrix; otherwise it comes from two symmetric eigenvalue problems.
    """
    a, b = _checked(real, generated, least=2)
    shift = a.mean(0) - b.mean(0)
    a = (a - a.mean(0)) / np.sqrt(len(a) - 1)
    b = (b - b.mean(0)) / np.sqrt(len(b) - 1)
    below = min(len(a), len(b)) < a.shape[1]
    common = nuclear_norm(a, b) if below else _root_trace(a, b)
    return float(shift @ shift + np.sum(a * a) + np.sum(b * b) - 2 * common)


def nuclear_norm(a: np.ndarray, b: np.ndarray) -> float:
    """Sum of the singular values of a @ b.T = tr (a^T a b^T b)^(1/2)."""
    return float(np.linalg.svd(a @ b.T, compute_uv=False).sum())


def _root_trace(a: np.ndarray, b: np.ndarray) -> float:
    """The same for n, m >= d: tr (S1^(1/2) S2 S1^(1/2))^(1/2), S = a^T a and b^T b."""
    values, vectors = np.linalg.eigh(a.T @ a)
    root = vectors * np.sqrt(np.clip(values, 0, None))  # root @ root.T = S1
    half = b @ root
    return float(np.sqrt(np.clip(np.linalg.eigvalsh(half.T @ half), 0, None)).sum())


def kid(
    real: np.ndarray,
    generated: np.ndarray,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    crops: int = 1,
    paired: bool = False,
    seed: int = 0,
) -> tuple[float, float]:
    """Kernel distance (Binkowski 2018) and its standard error.

    The value is the field's: the unbiased squared MMD with kernel (x.y / d + 1)^3, averaged over
    random subsets; sets no larger than a subset are taken whole, once. The standard error is the
    jackknife's over images on the whole sets: the spread over subsets says how noisy the subsets
    are (not at all when they are the whole sets), not how far the value is from the truth. Where
    there is no difference it is too large, by a factor of 1.4 for many images: the jackknife counts
    the variance of a pair's kernel twice, and nothing else is left there. Needs three n x n
    matrices: 0.2 GB at n = 2,781.

    With `crops` rows in turn from each image the rows are no independent sample: pairs within an
    image do not count, the jackknife leaves out whole images, and the sets are taken whole.

    `paired`: row i of both sets is of one prompt. A generated image resembles the photograph whose
    caption it was made from more than it resembles another one, and with such pairs the field's
    value is too low, even negative. They do not count then (the U-statistic of Gretton 2012, Lemma
    6), as an image does not count with itself; subsets and jackknife take prompts, both images.
    """
    x, y = _checked(real, generated, least=3 * crops)
    if paired and len(x) != len(y):
        raise ValueError(f"{len(x)} and {len(y)} rows are no pairs")
    within_x, within_y, between = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    for kernel in (within_x, within_y, *([between] if paired else [])):
        image = np.arange(len(kernel)) // crops  # unbiased: none is compared with itself
        kernel[image[:, None] == image] = 0
    error = (_jackknife_of_pairs if paired else _jackknife)(within_x, within_y, between, crops)
    whole = crops > 1 or max(len(x), len(y)) <= subset_size
    random = np.random.default_rng(seed)
    chosen_x, chosen_y = (
        np.ones((1, len(s))) if whole else _subsets(len(s), subset_size, subsets, random)
        for s in (x, y)
    )
    if paired:
        chosen_y = chosen_x
    n, m = chosen_x[0].sum(), chosen_y[0].sum()
    others = m - crops if paired else m
    values = np.sum(chosen_x @ within_x * chosen_x, 1) / (n * (n - crops))
    values += np.sum(chosen_y @ within_y * chosen_y, 1) / (m * (m - crops))
    values -= 2 * np.sum(chosen_x @ between * chosen_y, 1) / (n * others)
    return float(values.mean()), error


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _subsets(n: int, size: int, count: int, random: np.random.Generator) -> np.ndarray:
    """(count, n) rows of ones and zeros: random subsets of min(size, n) of n images."""
    order = random.permuted(np.tile(np.arange(n), (count, 1)), axis=1)
    return (order < min(size, n)).astype(np.float64)


def _jackknife(
    within_x: np.ndarray, within_y: np.ndarray, between: np.ndarray, crops: int
) -> float:
    """Standard error of the squared MMD, by leaving out one image at a time, of x and of y."""
    variance = 0.0
    for within, cross in ((within_x, between), (within_y, between.T)):
        n, m = cross.shape
        own = within.sum(1).reshape(-1, crops).sum(1)
        shared = cross.sum(1).reshape(-1, crops).sum(1)
        without = (own.sum() - 2 * own) / ((n - crops) * (n - 2 * crops))
        without -= 2 * (shared.sum() - shared) / ((n - crops) * m)
        variance += (len(own) - 1) / len(own) * np.sum((without - without.mean()) ** 2)
    return float(np.sqrt(variance))


def _jackknife_of_pairs(
    within_x: np.ndarray, within_y: np.ndarray, between: np.ndarray, crops: int
) -> float:
    """The same by leaving out one prompt at a time: its image of x together with that of y."""
    n = len(between)
    rows = within_x.sum(1) + within_y.sum(1) - between.sum(0) - between.sum(1)
    own = rows.reshape(-1, crops).sum(1)
    without = (own.sum() - 2 * own) / ((n - crops) * (n - 2 * crops))
    return float(np.sqrt((len(own) - 1) / len(own) * np.sum((without - without.mean()) ** 2)))


@dataclass(frozen=True)
class Split:
    """FID between disjoint random sets of n images of one set: mean and deviation over draws."""

    n: int
    value: float
    standard_deviation: float


@dataclass(frozen=True)
class Floor:
    """What FID is, at n images, between two samples of one distribution; `splits` it comes from."""

    n: int
    value: float
    splits: tuple[Split, ...]

    @property
    def extrapolated(self) -> bool:
        """Whether n is more than two disjoint sets could be drawn of."""
        return self.n > self.splits[0].n


def floor(real: np.ndarray, *, draws: int = 4, seed: int = 0) -> Floor:
    """The bias of FID made visible: what a perfect model would score, with as many images as here.

    Two disjoint sets of all n photographs do not exist, of n / 2, n / 4 and n / 8 they do: to those
    three distances, as logarithms, a parabola in log n is laid, which gives the one at n. A line in
    1 / n (Chong and Forsyth 2020) holds for n far above the dimension and is 20 to 70 % too high
    below and near it, where this was within 9 % on simulated features. Fewer than 16 images bear no
    extrapolation: then the floor is that of halves, at n // 2.

    `real` is (n, d), or (n, crops, d) of which the crops of an image stay in one set. UserError for
    fewer than 4 images.
    """
    if len(real) < 4:
        raise UserError(f"features of shape {real.shape}: at least 4 images needed")
    random = np.random.default_rng(seed)
    parts = (2, 4, 8) if len(real) >= 16 else (2,)
    splits = tuple(_split(real, len(real) // part, draws, random) for part in parts)
    # of images that are all alike, every distance is nothing, which has no logarithm
    if len(splits) == 1 or min(split.value for split in splits) <= 0:
        return Floor(splits[0].n, splits[0].value, splits[:1])
    x, y = np.log([(split.n, split.value) for split in splits]).T
    at = np.polyval(np.polyfit(x, y, 2), np.log(len(real)))
    return Floor(len(real), float(np.exp(at)), splits)


def _split(real: np.ndarray, n: int, draws: int, random: np.random.Generator) -> Split:
    """FID between sets of n images, all the disjoint pairs of `draws` random orders."""
    values = []
    for _ in range(draws):
        order = random.permutation(len(real))
        for first in range(0, len(real) - 2 * n + 1, 2 * n):
            pair = order[first : first + n], order[first + n : first + 2 * n]
            values.append(fid(*(real[ids].reshape(-1, real.shape[-1]) for ids in pair)))
    return Split(n, float(np.mean(values)), float(np.std(values)))


def _checked(*sets: np.ndarray, least: int) -> list[np.ndarray]:
    """float64 copies; UserError for too few rows or features that are not finite."""
    sets = [np.asarray(features, dtype=np.float64) for features in sets]
    for features in sets:
        if features.ndim != 2 or len(features) < least:
            raise UserError(f"features of shape {features.shape}: at least {least} images needed")
        if not np.isfinite(features).all():
            raise UserError("NaN or infinity among the features; image or network is broken")
    if len({features.shape[1] for features in sets}) > 1:
        raise UserError(f"features of different length: {[f.shape for f in sets]}")
    return sets
