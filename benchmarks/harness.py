"""What every benchmark shares: its flags, time and peak memory side by side, the limit, the JSON.

A row is one side (`ours`, or `reference`: the released algorithm or the stock library) of one case:

    case, side        which comparison
    seconds           median of the repeats
    peak_gb           above what was there before: CUDA memory, or resident memory on a CPU
    tflops, share     achieved TFLOP/s by the FLOP model, and their share of the limit
    stage, backbone   for `snakemake plan`, which takes `tflops` of `ours` from full runs, and so
                      only of work that is done as the workflow does it

The limit is what a large matrix product gives on the same device, in the same run and dtype; of
float32 in the precision that convolutions run in, TensorFloat-32 where torch is left as it is.
"""

import argparse
import ctypes
import gc
import json
import math
import os
import pkgutil
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))  # after benchmarks/, which has files of the same names

Row = dict[str, Any]


def parser(doc: str) -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("--quick", action="store_true", help="tiny, for a test: does it work?")
    flags.add_argument("--device", help="auto (without --quick the default), cpu (with), cuda")
    flags.add_argument("--repeats", type=int, default=3)
    where = "the JSON's folder; by default benchmarks/results, with --quick none"
    flags.add_argument("--output", type=Path, help=where)
    return flags


def backbones(args: argparse.Namespace, every: Iterable[str]) -> list[str]:
    """Those of `--backbone`, where it is not given or names all none: for `report`'s `chosen`."""
    return [] if set(args.backbone) == set(every) else args.backbone


def device(args: argparse.Namespace):
    """The torch device of the flags; one CPU thread with --quick."""
    await_turn()
    import torch

    from diffusion4k.device import choose

    if args.quick:
        torch.set_num_threads(1)
    return choose(args.device or ("cpu" if args.quick else "auto"))


def await_turn() -> None:
    """Where gpu_check.py has started this ahead: import what takes long, and wait for its file."""
    if turn := os.environ.get("GPU_CHECK_TURN"):
        for name in ("diffusers:FluxPipeline", "diffusers:StableDiffusion3Pipeline"):
            pkgutil.resolve_name(name)
        starter = os.getppid()
        while not Path(turn).exists():
            if os.getppid() != starter:
                sys.exit("error: gpu_check.py has ended")
            time.sleep(0.02)


def device_name(device) -> str:
    """`NVIDIA H200`, or the CPU's model with the number of threads that torch uses."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{cpu_name()}, {torch.get_num_threads()} threads"


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def measure(function: Callable[[], Any], device, *, repeats: int = 3, warmup: int = 1) -> Row:
    """{"seconds": the median, "peak_gb": the most above the start} of a call."""
    for _ in range(warmup):
        function()
    seconds, peaks = [], []
    for _ in range(max(1, repeats)):
        gc.collect()
        before = _reset_peak(device)
        synchronise(device)
        began = time.perf_counter()
        function()
        synchronise(device)
        seconds.append(time.perf_counter() - began)
        peaks.append(_peak(device) - before)
    return {"seconds": statistics.median(seconds), "peak_gb": max(max(peaks), 0) / 1e9}


def alternate(sides: dict[str, Callable[[], Any]], device, *, repeats: int = 3) -> dict[str, Row]:
    """`measure` of each, in turns, so that what else the machine does falls on all alike.

    The least seconds count: others can only add to them.
    """
    found: dict[str, list[Row]] = {name: [] for name in sides}
    for turn in range(repeats):
        for name, function in sides.items():
            found[name].append(measure(function, device, repeats=1, warmup=turn == 0))
    return {
        name: {key: min(row[key] for row in rows) for key in ("seconds", "peak_gb")}
        for name, rows in found.items()
    }


def limit(device, dtype, *, quick: bool = False) -> float:
    """TFLOP/s of a matrix product: 8192 wide on a GPU, 2048 on a CPU.

    torch computes products of float32 exactly and convolutions in TF32, several times as fast: by a
    limit of exact products any convolutions would be fast enough.
    """
    import torch

    matmul = torch.backends.cuda.matmul
    before, matmul.allow_tf32 = matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        return _product(device, dtype, quick=quick)
    finally:
        matmul.allow_tf32 = before


def _product(device, dtype, *, quick: bool) -> float:
    import torch

    width = 256 if quick else 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(width, width, device=device, dtype=dtype) for _ in range(2))
    # the best of several, not their median: others may be at work on the same machine
    calls = [
        measure(lambda: a @ b, device, repeats=1)["seconds"] for _ in range(3 if quick else 20)
    ]
    return 2 * width**3 / min(calls) / 1e12


def achieved(row: Row, flops: float, limit: float) -> Row:
    """The row with `tflops` and `share`, from the FLOPs that its seconds did."""
    tflops = flops / row["seconds"] / 1e12
    return row | {"tflops": tflops, "share": tflops / limit}


class Report:
    """A benchmark's JSON, written anew with each row: one that is cut off keeps what it had.

    `chosen`: the flags' values that set runs apart, which the JSONs' names have. `more`: further
    keys. Until `end` it says `"complete": false`; none with --quick and without --output.
    """

    def __init__(
        self, name: str, args: argparse.Namespace, device: str, chosen: Iterable[str] = (), **more
    ):
        self.record = {"benchmark": name, "date": time.strftime("%Y-%m-%d"), "device": device}
        self.record |= {"quick": args.quick, "versions": {}, "complete": False, **more, "rows": []}
        folder = args.output or (None if args.quick else ROOT / "benchmarks/results")
        slug = "".join(c if c.isalnum() else "-" for c in device.lower())
        file = f"{'-'.join(filter(None, [name, *chosen, *slug.split('-')]))}.json"
        self.path = None if folder is None else folder / file

    def add(self, *rows: Row, **more: Any) -> None:
        """Rows, and further keys."""
        self.record["rows"] += rows
        self.record |= more
        self._write()

    def amend(self, **values: Any) -> None:
        """Further values of the last row."""
        self.record["rows"][-1] |= values
        self._write()

    def fail(self, what: str, error: BaseException) -> None:
        """What did not work, and why: that stops nothing else."""
        reason = f"{type(error).__name__}: {error}"[:400]
        print(f"{what}: {reason}", flush=True)
        self.record.setdefault("failed", {})[what] = reason
        self._write()

    def end(self, **more: Any) -> None:
        """Print the rows with the ratio of each side to ours; exits 1 where ours did not work."""
        del self.record["complete"]
        self.add(**more)
        show(self.record["rows"])
        if self.path:
            print(f"\n{self.path}")
        sides = {row["side"] for row in self.record["rows"]}
        if not sides or ("failed" in self.record and "ours" not in sides):
            sys.exit(1)

    def _write(self) -> None:
        from diffusion4k.files import write_text

        self.record["versions"] = versions()
        if self.path:
            text = json.dumps(finite(self.record), indent=1, allow_nan=False)
            write_text(self.path, text + "\n")


def report(name: str, args, device: str, rows: list[Row], chosen=(), **more: Any) -> None:
    """The `Report` of a benchmark that has all its rows at once."""
    made = Report(name, args, device, chosen, **more)
    made.add(*rows)
    made.end()


def finite(value: Any) -> Any:
    """The value; in it numbers that JSON does not have, as text: "nan", "inf"."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def show(rows: list[Row]) -> None:
    """A Markdown table; `x` is time over that of ours in the same case."""
    timed = [row for row in rows if "seconds" in row]
    ours = {row["case"]: row["seconds"] for row in timed if row["side"] == "ours"}
    columns = [c for c in ("seconds", "peak_gb", "tflops", "share") if any(c in r for r in rows)]
    extra = [c for r in rows for c in r if c not in (*columns, "case", "side", "stage", "backbone")]
    columns += list(dict.fromkeys(extra))
    print(f"| case | side | {' | '.join(columns)} | x |\n|---|---|{'---|' * (len(columns) + 1)}")
    for row in rows:
        values = [row.get(column, "") for column in columns]
        cells = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in values]
        ratio = (
            f"{row['seconds'] / ours[row['case']]:.2f}"
            if row in timed and row["case"] in ours
            else ""
        )
        print(f"| {row['case']} | {row['side']} | {' | '.join(cells)} | {ratio} |")


def versions() -> dict[str, str]:
    """Python's, and those of the libraries that this process has imported."""
    names = ("torch", "diffusers", "transformers", "snakemake", "numba", "numpy", "PIL")
    found = {name: getattr(sys.modules.get(name), "__version__", "") for name in names}
    return {"python": platform.python_version()} | {k: v for k, v in found.items() if v}


def synchronise(device) -> None:
    """Wait until a GPU has done what it was asked."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reset_peak(device) -> int:
    """Start counting the peak; the bytes in use now."""
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    try:
        # give back what malloc keeps, or a call that reuses it would seem to need no memory
        ctypes.CDLL(None).malloc_trim(0)
        # 5 resets the peak of the resident memory (proc(5))
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    except (OSError, AttributeError):  # not Linux: no peak
        return 0
    return _resident("VmRSS")


def _peak(device) -> int:
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _resident("VmHWM")


def _resident(key: str) -> int:
    """A line of /proc/self/status in bytes; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key)), 0)
