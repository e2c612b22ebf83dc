"""What every command-line script shares: one-line errors, progress in a log, shards, devices."""

import argparse
import errno
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from tqdm import tqdm

from diffusion4k.errors import UserError

# what a file system refuses, and no fault of a program's
FILE_SYSTEMS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)


def main(run: Callable[[argparse.Namespace], None], parser: argparse.ArgumentParser) -> None:
    """Parse the command line and call `run`; a UserError becomes one line and exit status 1."""
    args = parser.parse_args()
    for stream in (sys.stdout, sys.stderr):  # a file's name may hold bytes that are no text
        stream.reconfigure(errors="backslashreplace")
    # it warns of a 4-bit CPU kernel that nobody here asks for, as soon as diffusers finds it
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        run(args)
    except UserError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno not in FILE_SYSTEMS or not error.filename:
            raise
        sys.exit(f"error: {error.filename}: {error.strerror}")


class _Lines:
    """A log file as tqdm's screen: every refresh is a line of its own, without carriage return."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text: str) -> None:
        text = text.strip("\r\n")
        if text.strip():
            self._stream.write(text + "\n")

    def flush(self) -> None:
        self._stream.flush()


def progress(
    iterable: Iterable | None = None, *, total: int | None = None, desc: str, unit: str = "it"
) -> tqdm:
    """A tqdm bar with rate and time left; in a log file, a line every ten seconds."""
    terminal = sys.stderr.isatty()
    return tqdm(
        iterable,
        total=total,
        desc=desc,
        unit=f" {unit}",
        file=sys.stderr if terminal else _Lines(sys.stderr),
        mininterval=0.5 if terminal else 10.0,
        maxinterval=60.0,
        ncols=None if terminal else 100,
        ascii=not terminal,
    )


def shard(items: Sequence[Any], index: int, count: int) -> list[Any]:
    """The `index`-th of `count` contiguous, near-equal slices; together they are `items`."""
    if count < 1 or not 0 <= index < count:
        raise UserError(f"shard {index} of {count} does not exist; count from 0 to {count - 1}")
    return list(items[len(items) * index // count : len(items) * (index + 1) // count])


def spread(items: Sequence[Any], count: int | None) -> list[Any]:
    """`count` items at even distances, so that a part stands for the whole; None: all of them."""
    if count is None or count >= len(items):
        return list(items)
    return [items[len(items) * index // count] for index in range(count)]


def parallel(function: Callable, items: Sequence[Any], workers: int) -> Iterator[Any]:
    """`function` of each item, in order, over `workers` processes; both must pickle.

    Processes and not threads, for work that holds Python's lock. UserError when one is killed.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    with ProcessPoolExecutor(min(workers, max(len(items), 1))) as pool:
        try:
            yield from pool.map(function, items)
        except BrokenProcessPool:
            raise UserError(
                f"one of {workers} workers was killed, probably for memory: use fewer, grant more"
            ) from None


def threads() -> int:
    """Cores granted to this process: OMP_NUM_THREADS as Snakemake sets it, else all."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # "4,2": of nested levels
    return int(asked) if asked.strip().isdecimal() else os.cpu_count() or 1
