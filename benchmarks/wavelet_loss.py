"""What the wavelet transform does to the loss and what not: figures of docs/wavelet-loss.md.

    python benchmarks/wavelet_loss.py [--run results/miniature] [--quick]

Numbers of the arithmetic itself, on random errors and latents; no model is needed. With --run, the
sub-bands' shares of the loss at the end of that run's trainings too.
"""

import argparse
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from diffusion4k import backbones, manifest  # noqa: E402
from diffusion4k.train import wavelet  # noqa: E402
from diffusion4k.train.objectives import OBJECTIVES, Bands  # noqa: E402

WAVELETS = ("haar", "db2", "sym4", "coif1", "bior2.2")
EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def gradient(name: str, inputs, bands: Bands) -> tuple[torch.Tensor, torch.Tensor]:
    v = inputs[0].detach().requires_grad_()
    loss = OBJECTIVES[name](v, *inputs[1:], bands)[0]
    return loss.detach(), torch.autograd.grad(loss, v)[0]


def transforms(size: int) -> None:
    """Equal weights: loss over the plain loss, and how far the gradient is from the plain one."""
    print(f"equal weights, random errors of 16 x {size} x {size}, fp32\n")
    print("| filter | levels | loss / plain loss | gradient off by |\n|---|---|---|---|")
    inputs = (*(draw(2, 16, size, size, seed=s) for s in range(3)), torch.tensor([0.3, 0.8]))
    plain, expected = gradient("velocity", inputs, Bands())
    for name in WAVELETS:
        for levels in (1, 2, 3):
            loss, found = gradient("wavelet_velocity", inputs, Bands(name, levels))
            off = ((found - expected).norm() / expected.norm()).item()
            print(f"| {name} | {levels} | {(loss / plain).item():.7f} | {off:.1e} |")
    weighted, found = gradient("wavelet_velocity", inputs, Bands(weights=(1.0, 2.0, 2.0, 2.0)))
    off = ((found - expected).norm() / expected.norm()).item()
    print(f"| haar, details × 2 | 1 | {(weighted / plain).item():.7f} | {off:.1e} |\n")


def timesteps(count: int) -> None:
    """Where on the noise scale either loss puts its weight, under each backbone's law."""
    print("share of the loss's weight by noise level, published timestep laws\n")
    parts = [f"σ {low:g}–{high:g}" for low, high in zip(EDGES, EDGES[1:], strict=False)]
    print(f"| | loss | {' | '.join(parts)} | mean σ² |\n|---|---|{'---|' * (len(parts) + 1)}")
    for name in backbones.NAMES:
        backbone, random = backbones.get(name), torch.Generator().manual_seed(0)
        u = torch.tensor([backbone.draw_u(random) for _ in range(count)])
        sigma = backbone.sigmas(u, image_tokens=16384, shifted=False, schedule_shift=3.0)
        for loss, weight in (("velocity", torch.ones_like(sigma)), ("x0 form", sigma**2)):
            inside = [
                weight[(sigma > low) & (sigma <= high)].sum() / weight.sum()
                for low, high in zip(EDGES, EDGES[1:], strict=False)
            ]
            shares = " | ".join(f"{share.item():.1%}" for share in inside)
            print(f"| {name} | {loss} | {shares} | {(sigma**2).mean().item():.3f} |")
    print()


def precision(size: int) -> None:
    """The gradient in bf16 against fp32, at small noise: as released, and as here."""
    print("gradient in bf16, cosine with fp32\n\n| σ | as released | here |\n|---|---|---|")
    x0, noise = draw(2, 16, size, size, seed=1), draw(2, 16, size, size, seed=2)
    v = (noise - x0 + 0.1 * draw(2, 16, size, size, seed=3)).bfloat16()
    for level in (0.3, 0.1, 0.03, 0.01, 0.003):
        sigma = torch.full((2,), level)
        _, exact = gradient("wavelet_x0", (v.float(), x0, noise, sigma), Bands())
        _, here = gradient("wavelet_x0", (v, x0, noise, sigma), Bands())
        released = as_released(v, x0, noise, level)
        # in float64: the gradients are so small that torch's own cosine would clamp their norms
        unit = [g.double() / g.double().norm() for g in (released, here, exact)]
        cosines = [(g * unit[2]).sum().item() for g in unit[:2]]
        print(f"| {level} | {cosines[0]:.4f} | {cosines[1]:.4f} |")
    print()


def as_released(v, x0, noise, level: float) -> torch.Tensor:
    """The gradient when latents, noising and transform are all bf16, as in train_*_wavelet."""
    v = v.detach().requires_grad_()
    low = torch.tensor(level).bfloat16()
    x0, noise = x0.bfloat16(), noise.bfloat16()
    noisy = (1 - low) * x0 + low * noise
    parts = [torch.cat(wavelet.haar_bands(x), 1).float() for x in (noisy - low * v, x0)]
    return torch.autograd.grad((parts[0] - parts[1]).square().mean(), v)[0]


def trained(run: Path) -> None:
    """The sub-bands' mean shares of the loss over the last 100 steps of each training."""
    import pandas as pd

    print(f"shares of the loss by sub-band, last 100 steps of {run.name}\n")
    print("| model | LL | LH | HL | HH |\n|---|---|---|---|---|")
    for path in sorted(run.glob("train/*/step-*.json")):
        made = manifest.read(path)
        rows = pd.read_parquet(made.root / "loss.parquet").tail(100)
        parts = rows[[f"loss_{band}1" for band in ("LL", "LH", "HL", "HH")]].mean()
        shares = " | ".join(f"{share:.1%}" for share in parts / parts.sum())
        print(f"| {path.parent.name} | {shares} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a run's folder, such as results/miniature")
    parser.add_argument("--quick", action="store_true", help="smaller, for a test")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transforms(16 if args.quick else 128)
    timesteps(200 if args.quick else 100_000)
    precision(16 if args.quick else 128)
    if args.run:
        trained(args.run)


if __name__ == "__main__":
    main()
