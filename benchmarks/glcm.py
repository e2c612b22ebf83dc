"""GLCM Score of one 4096 px image: ours on one and two threads beside the released loop.

The released loop is written anew here from its definition (skimage's co-occurrence array and the
entropy of its values, patch by patch). The limit is the increments alone: what any program that
counts every pixel pair has to do. All are timed in turn on the same image and the fastest round of
each counts, because other work on the machine can only slow one down; what is judged is the ratio.
Ours must equal the released loop, or this fails.

    python benchmarks/glcm.py            4096 px, five rounds, half a minute
    python benchmarks/glcm.py --quick    1024 px, two rounds, for CI
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

import numba
import numpy as np
from skimage import data, transform
from skimage.feature import graycomatrix
from skimage.measure import shannon_entropy

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
from diffusion4k import cli
from diffusion4k.errors import UserError
from diffusion4k.files import write_text
from diffusion4k.metrics import glcm

SETTINGS = glcm.DEFAULT


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--size", type=int, default=4096, help="px, side of the image")
    flags.add_argument("--rounds", type=int, default=5, help="of each; the fastest counts")
    flags.add_argument("--quick", action="store_true", help="1024 px and two rounds")
    flags.add_argument("--output", type=Path, help="write the result as JSON")
    return flags


def photograph(size: int) -> np.ndarray:
    """A real photograph with fine detail at `size` px: skimage's astronaut, mirrored and tiled."""
    tile = glcm.grey(data.astronaut())
    tile = np.block([[tile, tile[:, ::-1]], [tile[::-1], tile[::-1, ::-1]]])
    if size % len(tile):
        tile = (transform.resize(tile, (size, size)) * 255).astype(np.uint8)
    return np.tile(tile, (max(size // len(tile), 1),) * 2)


def released(image: np.ndarray) -> float:
    """The released definition, patch by patch."""
    quantised, side = image // 4, SETTINGS.patch
    angles = np.radians(SETTINGS.angles)
    total = 0.0
    for top in range(0, len(image), side):
        for left in range(0, len(image), side):
            patch = quantised[top : top + side, left : left + side]
            matrices = graycomatrix(patch, SETTINGS.distances, angles, levels=64, normed=True)
            total += shannon_entropy(matrices)
    return total / (len(image) // side) ** 2


def limit(image: np.ndarray) -> int:
    """The increments alone, on one thread."""
    offsets = np.array(list(dict.fromkeys(SETTINGS.offsets())), dtype=np.int64)
    return _increments(image, SETTINGS.patch, offsets, SETTINGS.levels)


@numba.njit(cache=True)
def _increments(image, side, offsets, levels):
    matrix = np.zeros(levels * levels, np.uint16)
    patch = np.empty(side * side, np.uint8)
    for top in range(0, image.shape[0], side):
        for left in range(0, image.shape[1], side):
            glcm._copy(image, top, left, side, levels, patch)
            for k in range(offsets.shape[0]):
                glcm._count(patch, side, levels, offsets[k, 0], offsets[k, 1], matrix)
    return matrix[0]


def run(args: argparse.Namespace) -> None:
    size, rounds = (1024, 2) if args.quick else (args.size, args.rounds)
    if size % SETTINGS.patch:
        raise UserError(f"--size {size}: a multiple of {SETTINGS.patch} px is needed")
    image = photograph(size)
    ways = {
        "released": lambda: released(image),
        "one_thread": lambda: glcm.score(image, threads=1)["glcm"],
        "two_threads": lambda: glcm.score(image, threads=2)["glcm"],
        "properties": lambda: glcm.score(image, threads=1, properties=True)["glcm"],
        "limit": lambda: limit(image),
    }
    small = image[:64, :64]
    for compiled in (glcm.score(small), limit(small)):
        assert compiled is not None
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    values = {}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            values[name] = way()
            seconds[name].append(time.perf_counter() - started)
    error = abs(values["one_thread"] - values["released"])
    if error > 1e-12 or values["one_thread"] != values["two_threads"]:
        raise UserError(f"ours differs from the released definition by {error:.1e}")
    result = report(size, rounds, {name: min(s) for name, s in seconds.items()})
    if args.output:
        write_text(args.output, json.dumps(result, indent=1) + "\n")


def report(size: int, rounds: int, seconds: dict[str, float]) -> dict:
    """Print the table; return it with what is needed to judge it."""
    ratios = {name: seconds["released"] / value for name, value in seconds.items()}
    print(f"GLCM Score of {size} x {size} px, the fastest of {rounds} rounds")
    for name, value in seconds.items():
        print(f"{name:12} {value:8.3f} s   {ratios[name]:6.1f} x the released loop")
    print(f"one thread takes {seconds['one_thread'] / seconds['limit']:.2f} x the limit")
    return {
        "size": size,
        "rounds": rounds,
        "seconds": seconds,
        "times_the_released_loop": ratios,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "device": f"CPU, {platform.machine()}, {os.cpu_count()} cores",
        "load": os.getloadavg()[0],  # above the cores: others worked too, and threads had to share
        "versions": {"python": platform.python_version(), "numba": numba.__version__},
    }


if __name__ == "__main__":
    cli.main(run, parser())
