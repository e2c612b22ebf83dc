"""FID from given features: ours beside clean-fid's and torchmetrics', at the paper's sizes.

    python benchmarks/frechet.py            195 and 2,781 images, 2,048 features: three minutes
    python benchmarks/frechet.py --quick    20 and 200 images, 64 features

The features are random, of two sets that differ by a shift and a scale. All three must give the
same value within 1e-3 relative, or this fails.
"""

import argparse
from collections.abc import Callable

import harness
import numpy as np
import torch
from cleanfid.fid import frechet_distance
from torchmetrics.image.fid import _compute_fid

from diffusion4k.errors import UserError
from diffusion4k.metrics import frechet

CLOSE = 1e-3  # relative


def parser() -> argparse.ArgumentParser:
    return harness.parser(__doc__)


def sides(n: int, dimension: int) -> dict[str, Callable[[], float]]:
    """{side: FID of the same two sets}; the libraries' with the moments that they take."""
    random = np.random.default_rng(n)
    real, generated = random.gamma(0.5, 0.8, (2, n, dimension)).astype(np.float32)
    generated = generated * 1.1 + 0.05

    def moments() -> list[np.ndarray]:
        sets = [x.astype(np.float64) for x in (real, generated)]
        return [part for x in sets for part in (x.mean(0), np.cov(x, rowvar=False))]

    return {
        "ours": lambda: frechet.fid(real, generated),
        "clean-fid": lambda: float(frechet_distance(*moments())),
        "torchmetrics": lambda: _compute_fid(*map(torch.from_numpy, moments())).item(),
    }


def main() -> None:
    args = parser().parse_args()
    device = harness.device(args)
    dimension = 64 if args.quick else 2048
    rows = []
    for n in (20, 200) if args.quick else (195, 2781):
        values: dict[str, float] = {}

        def keeping(side: str, call: Callable[[], float], values=values) -> Callable[[], None]:
            return lambda: values.__setitem__(side, call())

        calls = {side: keeping(side, call) for side, call in sides(n, dimension).items()}
        measured = harness.alternate(calls, device, repeats=args.repeats)
        for side, row in measured.items():
            error = abs(values[side] - values["ours"]) / values["ours"]
            if error > CLOSE:
                raise UserError(f"n = {n}: {side} gives {values[side]}, ours {values['ours']}")
            case = {"case": f"n = {n}, d = {dimension}", "side": side}
            rows.append(case | row | {"fid": values[side], "relative_difference": error})
    harness.report("frechet", args, harness.device_name(device), rows)


if __name__ == "__main__":
    main()
