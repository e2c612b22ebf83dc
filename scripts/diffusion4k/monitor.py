"""What watches a training and decides none of its bytes: alarms, a bar, memory, TensorBoard."""

import contextlib
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from diffusion4k import cli

Row = dict[str, float | int]

WINDOW = 100  # steps of the running median
SETTLED = 20  # steps before the median means anything
EXPLODED = 100.0  # times the running median


def ailment(row: Row, history: Sequence[Row]) -> str | None:
    """Why training must stop after this step; None when it is sound.

    A NaN or infinite loss or gradient norm, or a loss beyond 100 times the median of the last 100.
    """
    for name in ("loss", "gradient_norm"):
        if not math.isfinite(row[name]):
            return f"{name} {row[name]}"
    recent = [past["loss"] for past in history[-WINDOW:]]
    if len(recent) >= SETTLED and row["loss"] > EXPLODED * statistics.median(recent):
        return f"loss {row['loss']:.3g}, {EXPLODED:.0f} times its running median"
    return None


def memory_gb() -> float:
    """The most memory that this process has needed so far."""
    from diffusion4k.device import memory  # torch

    return memory.peak_gb()


def bar(steps: int, done: int) -> tqdm:
    """A progress bar over all `steps`, of which `done` are done; its rate is that of the others."""
    return cli.progress(total=steps, desc="train", unit="step", initial=done)


@contextlib.contextmanager
def board(folder: Path | None, step: int) -> Iterator[Callable[[Row], None]]:
    """Writes rows to TensorBoard in `folder`, dropping what is there from `step` on.

    Nothing is written without TensorBoard, or when `folder` is None.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        folder = None
    if folder is None:
        yield lambda row: None
        return
    with SummaryWriter(str(folder), purge_step=step + 1) as writer:

        def write(row: Row) -> None:
            for name, value in row.items():
                if name != "step":
                    writer.add_scalar(f"train/{name}", value, row["step"])

        yield write
