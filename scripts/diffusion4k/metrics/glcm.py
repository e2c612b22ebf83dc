"""GLCM Score: texture richness by grey-level co-occurrence, exact on integers.

The released evaluation takes, for every non-overlapping patch, skimage's normalised co-occurrence
array and the Shannon entropy of *how often each of its values occurs* (zeros included). Table 4 and
its like fit only that definition. The text of the paper suggests Haralick's entropy, the mean over
the matrices of -sum p log2 p. Both come out of one pass here, and so do, when asked for, skimage's
other properties of the matrices, which the released program offers as its --prop.

Counting works on integers: co-occurrences first, then how often each count c appears among the
matrices whose N pairs normalise it, merged where fractions c/N are equal (63/4032 = 62/3968).
"""

import functools
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np

from diffusion4k.errors import UserError
from diffusion4k.metrics.compiled import compiled


def _round(value: float) -> int:
    """C's round: halves away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


@dataclass(frozen=True)
class Matrices:
    """Those of a patch, as released: its side (px), grey levels, distances (px), angles (degrees).

    UserError for what no co-occurrence matrix can be made of.
    """

    patch: int = 64
    levels: int = 64
    distances: tuple[int, ...] = (1, 2, 3, 4)
    angles: tuple[float, ...] = (0, 45, 90, 135)

    def __post_init__(self):
        # from a distance of 1 on, a patch has at most 256 * 255 pairs: counts fit 16 bits
        sound = self.angles and all(map(math.isfinite, self.angles))
        sound = sound and min(self.distances, default=0) >= 1
        reach = max(max(map(abs, offset)) for offset in self.offsets()) if sound else 0
        if not (1 <= self.levels <= 256 and 0 < reach < self.patch <= 256):
            raise UserError(
                f"GLCM: patch {self.patch}, levels {self.levels}, distances {self.distances},"
                f" angles {self.angles}: needs 0 < distances < patch <= 256 px and levels <= 256"
            )

    def offsets(self) -> list[tuple[int, int]]:
        """(rows, columns) from a pixel to its neighbour, rounded as graycomatrix rounds them."""
        return [
            (_round(math.sin(math.radians(angle)) * d), _round(math.cos(math.radians(angle)) * d))
            for d in self.distances
            for angle in self.angles
        ]


DEFAULT = Matrices()
# the released --prop besides entropy, in the order of the kernel's columns
PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation", "asm")

# counts from here on are rare: 63 cells of a 64 px patch at most can hold one
_RARE = 64
_RARE_BITS = np.uint64(0xFFC0FFC0FFC0FFC0)  # of such counts, in four cells of 16 bits


@dataclass(frozen=True)
class _Plan:
    offsets: np.ndarray  # (k, 2) distinct neighbours
    weights: np.ndarray  # (k,) how many matrices each stands for
    pairs: np.ndarray  # (k,) N, pixel pairs in a patch
    starts: np.ndarray  # (k,) where a matrix's fractions start in `fractions`
    fractions: np.ndarray  # fractions[starts[i] + c] names the value c / pairs[i]; 0 is zero
    log: np.ndarray  # log[n] = n log2 n


@functools.cache
def _plan(settings: Matrices) -> _Plan:
    distinct: dict[tuple[int, int], int] = {}
    for offset in settings.offsets():
        distinct[offset] = distinct.get(offset, 0) + 1
    side = settings.patch
    pairs = [(side - abs(rows)) * (side - abs(columns)) for rows, columns in distinct]
    # two such fractions are equal exactly when their quotients in double precision are
    sizes = sorted(set(pairs))
    values = np.concatenate([np.arange(n + 1) / n for n in sizes])
    starts = dict(zip(sizes, np.cumsum([0, *(n + 1 for n in sizes)]), strict=False))
    total = settings.levels**2 * sum(distinct.values())
    n = np.arange(max(total, *pairs) + 1, dtype=np.float64)
    return _Plan(
        offsets=np.array(list(distinct), dtype=np.int64),
        weights=np.array(list(distinct.values()), dtype=np.int64),
        pairs=np.array(pairs, dtype=np.int64),
        starts=np.array([starts[n] for n in pairs], dtype=np.int64),
        fractions=np.unique(values, return_inverse=True)[1].astype(np.int32),
        log=n * np.log2(np.maximum(n, 1)),
    )


def grey(rgb: np.ndarray) -> np.ndarray:
    """uint8 RGB (H, W, 3) => uint8 (H, W), OpenCV's BT.601 conversion, as in the released code."""
    import cv2

    return cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2GRAY)


def patches(
    image: np.ndarray, settings: Matrices = DEFAULT, *, threads: int = 1, properties: bool = False
) -> dict[str, np.ndarray]:
    """Every score of every whole non-overlapping patch of a uint8 grey (H, W) image.

    Returns float64 arrays of shape (H // patch, W // patch) by name, means over the matrices:
    `glcm`, the entropy of the histogram of the matrices' values, as released, and `glcm_entropy`,
    -sum p log2 p, both in bits; with `properties` also PROPERTIES, as skimage.graycoprops defines
    them (the released program rounds those to four decimals first; here they are not rounded).
    Pixels beyond the last whole patch are left out. Raises UserError when no patch fits.
    """
    if image.ndim != 2 or image.dtype != np.uint8:
        raise ValueError(f"grey uint8 (H, W) expected, not {image.dtype} {image.shape}")
    side, levels = settings.patch, settings.levels
    rows, columns = image.shape[0] // side, image.shape[1] // side
    if not rows or not columns:
        raise UserError(
            f"an image of {image.shape[0]}x{image.shape[1]} px (height x width) holds no patch of"
            f" {side} px; score larger images"
        )
    plan = _plan(settings)
    names = ("glcm", "glcm_entropy", *(PROPERTIES if properties else ()))
    out = np.empty((rows, columns, len(names)))

    def score(part: np.ndarray) -> None:
        band = image[part[0] * side : (part[-1] + 1) * side]
        arrays = (plan.offsets, plan.weights, plan.pairs, plan.starts, plan.fractions, plan.log)
        _entropies(band, side, levels, *arrays, out[part[0] : part[-1] + 1])

    # four a thread, so that none waits for one whose core is slow
    bands = np.array_split(np.arange(rows), min(4 * threads, rows))
    with ThreadPoolExecutor(threads) as pool:  # the kernel releases the GIL
        list(pool.map(score, bands))
    return {name: out[..., i] for i, name in enumerate(names)}


def score(
    image: np.ndarray, settings: Matrices = DEFAULT, *, threads: int = 1, properties: bool = False
) -> dict[str, float]:
    """The means over the patches of a uint8 grey (H, W) image, by the names of `patches`."""
    by_name = patches(image, settings, threads=threads, properties=properties)
    return {name: float(values.mean()) for name, values in by_name.items()}


@compiled
def _entropies(image, side, levels, offsets, weights, pairs, starts, fractions, log, out):
    """Fill out (rows, columns, 2 or 8) with the scores of each patch of the grey image (H, W)."""
    matrix = np.zeros((levels * levels + 3) // 4 * 4, np.uint16)
    words = np.empty(matrix.size // 4 + 1, np.uint64)
    spectrum = np.zeros((_RARE, 8), np.int32)
    rare = np.empty(side * side // _RARE + 1, np.int64)
    occurrences = np.zeros(fractions.max() + 1, np.int64)
    seen = np.empty(occurrences.size, np.int32)
    patch = np.empty(side * side, np.uint8)
    matrices = weights.sum()
    total = levels * levels * matrices
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            low, high = _copy(image, i * side, j * side, side, levels, patch)
            distinct, zeros, haralick = 0, total, 0.0
            out[i, j, 2:] = 0
            for k in range(offsets.shape[0]):
                _count(patch, side, levels, offsets[k, 0], offsets[k, 1], matrix)
                if out.shape[2] > 2:
                    _add_properties(matrix, low, high, levels, pairs[k], weights[k], out[i, j])
                many = _spectrum(_words(matrix, low, high, levels, words), spectrum, rare)
                plogp = 0.0
                for n in range(1, _RARE + many):
                    count, cells = n, np.int64(1)
                    if n < _RARE:
                        cells = np.int64(0)
                        for lane in range(8):
                            cells += spectrum[n, lane]
                            spectrum[n, lane] = 0
                    else:
                        count = rare[n - _RARE]
                    if cells:
                        plogp += cells * log[count]
                        value = fractions[starts[k] + count]
                        if occurrences[value] == 0:
                            seen[distinct] = value
                            distinct += 1
                        occurrences[value] += weights[k] * cells
                        zeros -= weights[k] * cells
                haralick += weights[k] * (np.log2(pairs[k]) - plogp / pairs[k])
            nlogn = log[zeros]
            for value in seen[:distinct]:
                nlogn += log[occurrences[value]]
                occurrences[value] = 0
            out[i, j, 0] = np.log2(total) - nlogn / total
            out[i, j, 1] = haralick / matrices
            out[i, j, 2:] /= matrices


@compiled
def _words(matrix, low, high, levels, words):
    """Empty `matrix` and return its cells that are not, as 64-bit words of four with one at least.

    Without a branch, which would be guessed wrong as often as not.
    """
    cells, count = matrix.view(np.uint64), numba.uint64(0)
    for a in range(low, high + 1):
        first, last = (a * levels + low) // 4, (a * levels + high) // 4 + 1
        for at in range(numba.uint64(first), numba.uint64(last)):
            words[count] = cells[at]
            count += numba.uint64(cells[at] != 0)
            cells[at] = 0
    return words[:count]


@compiled
def _spectrum(words, spectrum, rare):
    """Add to spectrum (counts, 8) how many cells hold a count; its row 0 means nothing.

    The eight columns, a column for each cell of two words, are there because increments of one
    address wait for each other. A count without a row goes to the list `rare`; returns how many.
    """
    low16, many = np.uint64(0xFFFF), 0
    for i in range(numba.uint64(words.size)):
        word, column = words[i], 4 * (i & 1)
        if word & _RARE_BITS:
            for lane in range(4):
                count = np.int64((word >> np.uint64(16 * lane)) & low16)
                if count < _RARE:
                    spectrum[count, lane] += 1
                else:
                    rare[many] = count
                    many += 1
        else:
            spectrum[word & low16, column] += 1
            spectrum[(word >> np.uint64(16)) & low16, column + 1] += 1
            spectrum[(word >> np.uint64(32)) & low16, column + 2] += 1
            spectrum[word >> np.uint64(48), column + 3] += 1
    return many


@compiled
def _add_properties(matrix, low, high, levels, pairs, weight, out):
    """Add `weight` times the PROPERTIES of one matrix of counts to out[2:]; exact sums of integers.

    Levels count from `low` in the correlation, which a shift does not change.
    """
    contrast, distance, squares, closeness = 0, 0, 0, 0.0
    sum_a, sum_b, sum_aa, sum_bb, sum_ab = 0, 0, 0, 0, 0
    for i in range(high - low + 1):
        for j in range(high - low + 1):
            count = np.int64(matrix[(low + i) * levels + low + j])
            if count:
                contrast += count * (i - j) ** 2
                distance += count * abs(i - j)
                closeness += count / (1 + (i - j) ** 2)
                squares += count * count
                sum_a, sum_b = sum_a + count * i, sum_b + count * j
                sum_aa, sum_bb = sum_aa + count * i * i, sum_bb + count * j * j
                sum_ab += count * i * j
    spread = (pairs * sum_aa - sum_a * sum_a) * np.float64(pairs * sum_bb - sum_b * sum_b)
    asm = squares / (pairs * pairs)
    out[2] += weight * contrast / pairs
    out[3] += weight * distance / pairs
    out[4] += weight * closeness / pairs
    out[5] += weight * np.sqrt(asm)
    # skimage calls a matrix with one level on either side perfectly correlated
    correlation = (pairs * sum_ab - sum_a * sum_b) / np.sqrt(spread) if spread else 1.0
    out[6] += weight * correlation
    out[7] += weight * asm


@compiled
def _copy(image, top, left, side, levels, patch):
    """Quantise one patch into the flat `patch`; return its lowest and highest level."""
    low, high = 255, 0
    for y in range(side):
        for x in range(side):
            level = np.uint8(image[top + y, left + x] * levels // 256)
            patch[y * side + x] = level
            low, high = min(low, level), max(high, level)
    return low, high


@compiled
def _count(patch, side, levels, down, right, matrix):
    """Add the co-occurrences at one offset. Unsigned indices: no test for negative ones (2x)."""
    first, last = numba.uint64(max(0, -right)), numba.uint64(side - max(0, right))
    for y in range(max(0, -down), side - max(0, down)):
        here = numba.uint64(y * side)
        there = numba.uint64((y + down) * side + right)
        for x in range(first, last):
            a, b = numba.uint64(patch[here + x]), numba.uint64(patch[there + x])
            matrix[a * numba.uint64(levels) + b] += np.uint16(1)
