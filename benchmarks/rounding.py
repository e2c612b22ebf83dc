"""Loss curves of bfloat16 weights without masters against fp32 masters, in miniature.

    python benchmarks/rounding.py [--steps 400] [--learning-rate 3e-5] [--quick]

The miniature's Flux, random, on eight random latents of 64 px that it learns by heart: the trainer
itself (finetune.py), the same draws in every step on every side, batch 4, bfloat16 autocast:

    reference   fp32 master weights, AdamW with fp32 states
    8-bit       fp32 master weights, 8-bit states (adamw_8bit)
    ours        bf16 weights, 8-bit states, steps inside the backward pass (adamw_8bit_bf16)
    nearest     ours, but rounded to the nearest: what stochastic rounding is for

`loss` is the mean of the last hundred steps, `learned` how far it fell from the first ten's as a
share of the reference's fall, `apart` the mean distance of the curves (means of twenty steps) in
units of that fall; `moved` is the share of weights that are not where they began. The learning rate
is far below a weight's last place in bfloat16 (5e-4 at 0.1), as the paper's is: 1e-6, where the
last place at 0.01 is 6e-5. Nothing here says how well Flux would learn.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from unittest import mock

import harness
import pyarrow.parquet as pq
import torch
from accelerate.state import AcceleratorState, GradientState
from segment import Inputs, weights

from diffusion4k.train import finetune, in_backward, state
from diffusion4k.train.job import Job
from diffusion4k.train.settings import Settings

BATCH, LATENTS, WINDOW = 4, 8, 20
SIDES = {
    "reference": {"optimizer": "adamw"},
    "8-bit": {"optimizer": "adamw_8bit"},
    "ours": {"optimizer": "adamw_8bit_bf16", "clip": 0},
    "nearest": {"optimizer": "adamw_8bit_bf16", "clip": 0},
}


def nearest(values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """What stochastic rounding replaces."""
    return values.bfloat16()


def train(inputs: Inputs, side: str, args: argparse.Namespace) -> tuple[harness.Row, list[float]]:
    """One side's training: what it took and moved, and its loss at every step."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    folder = inputs.root / side
    recipe = Settings(
        backbone="flux", objective="velocity", learning_rate=args.learning_rate, seed=args.seed,
        global_batch=BATCH, micro_batch=BATCH, gradient_checkpointing=False, **SIDES[side],
    )  # fmt: skip
    job = Job(
        pipeline=inputs.root / "pipeline.json", latents=(inputs.root / "latents/latents.json",),
        start=None, stop_step=args.steps, processes=1, save_every=args.steps,
        progress_folder=folder / "progress", output=folder / "step.json", save_dtype="float32",
    )  # fmt: skip
    rounded = nearest if side == "nearest" else in_backward.stochastically_rounded
    began = time.perf_counter()
    with mock.patch.object(in_backward, "stochastically_rounded", rounded):
        finetune.run(recipe, job)
    seconds = time.perf_counter() - began
    root = job.output.with_suffix("")
    before, after = weights(inputs.start), weights(root / "transformer")
    low = recipe.in_backward  # loading rounds, which is no step
    still = sum(
        ((value.bfloat16().float() if low else value) == after[name]).sum().item()
        for name, value in before.items()
    )
    count = sum(value.numel() for value in before.values())
    curve = [row["loss"] for row in pq.read_table(root / state.HISTORY).to_pylist()]
    return {"side": side, "seconds": seconds, "moved": 1 - still / count}, curve


def means(curve: list[float]) -> list[float]:
    """Of each twenty steps."""
    return [statistics.fmean(curve[at : at + WINDOW]) for at in range(0, len(curve), WINDOW)]


def compare(inputs: Inputs, args: argparse.Namespace) -> tuple[list[harness.Row], dict]:
    """A row a side, and the curves, means of twenty steps."""
    case = f"miniature flux, {args.steps} steps, learning rate {args.learning_rate:g}"
    rows, curves = [], {}
    for side in SIDES:
        row, curves[side] = train(inputs, side, args)
        curve, own = curves["reference"], curves[side]
        fall = statistics.fmean(curve[:10]) - statistics.fmean(curve[-100:])
        last = statistics.fmean(own[-100:])
        pairs = zip(means(own), means(curve), strict=True)
        rows.append({"case": case} | row | {
            "loss": last,
            "learned": (statistics.fmean(own[:10]) - last) / fall,
            "apart": statistics.fmean(abs(a - b) for a, b in pairs) / abs(fall),
        })  # fmt: skip
    return rows, {side: [round(v, 5) for v in means(curve)] for side, curve in curves.items()}


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--learning-rate", type=float, default=3e-5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.quick:
        args.steps = 20
    device = harness.device(args)
    with tempfile.TemporaryDirectory() as temporary:
        inputs = Inputs(Path(temporary), "flux", 64, share=1, quick=True, latents=LATENTS)
        rows, curves = compare(inputs, args)
    how = {"steps": args.steps, "learning_rate": args.learning_rate, "seed": args.seed}
    note = "a miniature with random weights and latents"
    note += "; seconds are of a machine with other work"
    harness.report(
        "rounding", args, harness.device_name(device), rows, notes=note, **how, curves=curves
    )


if __name__ == "__main__":
    main()
