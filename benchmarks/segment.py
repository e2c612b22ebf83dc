"""scripts/train.py for real: trained straight, and ended by SIGTERM, resumed, published.

    python benchmarks/segment.py [--variant plain] [--share 4] [--steps 3] [--quick]

SD3 at its full width with a quarter of its blocks (`--share 4`: six), on random latents of 4096 px
that loading processes read. The signal goes to the whole process group, as launchers and schedulers
send it. Ours is the interrupted training, `reference` the straight one. `equal` says whether the
published weights are the same bit for bit; on a GPU attention's backward pass may add in another
order, so `difference`, the largest, is relative to how far a weight moved at most. `saved` is the
time from the signal to the end of the process, `step` the one that it was saved at. Both run at
once, so `seconds` are of each beside the other.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import harness
import networks
import torch
from latent_samples import stored

from diffusion4k import manifest

VARIANTS = {
    "plain": ("--global-batch", "1"),
    "offload": ("--global-batch", "1", "--zero-stage", "2", "--offload-optimizer"),
    "deterministic": ("--global-batch", "1", "--deterministic"),
    "8bit": ("--global-batch", "4", "--optimizer", "adamw_8bit"),
    "bf16": (
        *("--global-batch", "1", "--optimizer", "adamw_8bit_bf16", "--clip", "0"),
        *("--precision", "bfloat16"),
    ),
}
LATENTS = 4


class Inputs:
    """A pipeline with nothing but what training reads, and latents."""

    def __init__(
        self, root: Path, name: str, size: int, *, share: int, quick: bool, latents: int = LATENTS
    ):
        from diffusers import FlowMatchEulerDiscreteScheduler

        self.root, self.name = root, name
        folder = root / "pipeline"
        model = networks.transformer(name, "cpu", torch.float32, quick=quick, share=share)
        model.save_pretrained(folder / "transformer")
        FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
        self.start = folder / "transformer"
        files = [path for path in folder.rglob("*") if path.is_file()]
        where = {"root": folder, "files": files, "inputs": {}, "settings": {}}
        manifest.write(root / "pipeline.json", **where, started=time.time())
        architecture = networks.architecture(name, quick=quick, share=share)
        stored(root / "latents", name, architecture, size, 20 if quick else 77, latents)

    def command(self, output: Path, steps: int, *flags: str, every: int = 1) -> list[str]:
        return [
            *(sys.executable, str(harness.ROOT / "scripts/train.py"), "--backbone", self.name),
            *("--micro-batch", "1", "--learning-rate", "1e-4", "--guidance", "3.5", *flags),
            *("--pipeline", str(self.root / "pipeline.json"), "--stop-step", str(steps)),
            *("--latents", str(self.root / "latents/latents.json"), "--cache", "0"),
            *("--workers", "2", "--save-every", str(every), "--output", str(output)),
            *("--save-dtype", "float32"),  # the master weights themselves are compared
            *("--progress-folder", str(output.parent / "progress")),
        ]


def start(command: list[str], log: Path) -> subprocess.Popen:
    """Run in a process group of its own; what it says goes to `log`."""
    with log.open("a", encoding="utf-8") as said:
        return subprocess.Popen(command, stdout=said, stderr=said, process_group=0)


def ended(process: subprocess.Popen, log: Path, status: int) -> None:
    """Wait; RuntimeError with the log's end for another exit status."""
    found = process.wait()
    if found != status:
        said = log.read_text("utf-8")[-3000:]
        print(said, flush=True)
        raise RuntimeError(f"exit status {found} instead of {status}: {said[-250:]}")


def train(inputs: Inputs, folder: Path, steps: int, *flags: str, interrupt: bool):
    """(published manifest, seconds, seconds from signal to end, step at which it was saved)."""
    folder.mkdir()
    output, log, saved, at = folder / f"step-{steps:06d}.json", folder / "log", None, None
    every = 1 if interrupt else steps  # the states of six blocks are 6 GB a save
    command, began = inputs.command(output, steps, *flags, every=every), time.perf_counter()

    def at_second(what: str) -> None:
        print(f"{folder.name}: {what} after {time.perf_counter() - began:.1f} s", flush=True)

    if interrupt:
        process = start(command, log)
        while not list(folder.glob("progress/checkpoints-*/checkpoint-*")):
            if process.poll() is not None:
                ended(process, log, 75)
            time.sleep(0.002)
        at_second("first state saved")
        signalled = time.perf_counter()
        os.killpg(process.pid, signal.SIGTERM)
        ended(process, log, 75)
        saved = time.perf_counter() - signalled
        at_second("ended by the signal")
        names = [path.name for path in folder.glob("progress/checkpoints-*/checkpoint-*")]
        at = max(int(name.split("-")[1]) for name in names)
    ended(start(command, log), log, 0)
    at_second("published")
    return output, time.perf_counter() - began, saved, at


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a folder of safetensors."""
    from safetensors.torch import load_file

    parts = [load_file(file) for file in sorted(folder.glob("*.safetensors"))]
    return {name: tensor for part in parts for name, tensor in part.items()}


def compare(inputs: Inputs, variant: str, steps: int, *flags: str) -> list[harness.Row]:
    """Rows of the straight and the interrupted training, which run beside each other."""
    found, rows, sides = {}, [], ("reference", "ours")
    folders = {side: inputs.root / f"{variant}-{side}" for side in sides}

    def of(side: str):
        more = (*flags, *VARIANTS[variant])
        return train(inputs, folders[side], steps, *more, interrupt=side == "ours")

    with ThreadPoolExecutor() as pool:
        taken = dict(zip(sides, pool.map(of, sides), strict=True))
    for side, (output, seconds, saved, at) in taken.items():
        found[side] = weights(output.with_suffix("") / "transformer")
        row = {"case": f"{variant}, {steps} steps", "side": side, "seconds": seconds}
        results = manifest.read(output).results
        row |= {"images_per_second": results["images_per_second"], "loss": results["loss"]}
        rows.append(row | ({} if saved is None else {"saved": saved, "step": at}))
        shutil.rmtree(folders[side])  # two checkpoints of all states
    before = weights(inputs.start)
    for side, tensors in found.items():  # of a difference to NaN max() says nothing
        if not all(tensor.isfinite().all() for tensor in tensors.values()):
            raise RuntimeError(f"{side}: weights that are not finite")
    moved = max((found["reference"][k] - before[k]).abs().max().item() for k in before)
    apart = max((found["ours"][k] - found["reference"][k]).abs().max().item() for k in before)
    rows[-1] |= {"equal": apart == 0, "difference": apart / max(moved, 1e-30)}
    return rows


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--variant", nargs="+", choices=VARIANTS, default=["plain"])
    parser.add_argument("--backbone", default="sd3")
    parser.add_argument("--share", type=int, default=4, help="one block of so many")
    parser.add_argument("--size", type=int, default=4096, help="px")
    parser.add_argument("--steps", type=int, default=3)
    args: argparse.Namespace = parser.parse_args()
    device = harness.device(args)
    size, share, steps = (64, 1, 40) if args.quick else (args.size, args.share, args.steps)
    # the same kernels in each process on a CPU; on a GPU as the workflow trains
    flags = ("--precision", "float32", "--no-gradient-checkpointing") if args.quick else ()
    os.environ.setdefault("OMP_NUM_THREADS", "1" if args.quick else "8")
    report = harness.Report(
        "segment", args, harness.device_name(device), [args.backbone, *args.variant],
        size=size, share=share,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        how = {"share": share, "quick": args.quick}
        inputs = Inputs(Path(temporary), args.backbone, size, **how)
        print("pipeline and latents made", flush=True)
        for variant in args.variant:
            try:
                report.add(*compare(inputs, variant, steps, *flags))
            except RuntimeError as error:
                report.fail(variant, error)
    report.end()


if __name__ == "__main__":
    main()
