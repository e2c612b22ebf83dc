"""The signals that ask a training to save and end, and which of its processes they concern.

Launchers, schedulers and terminals signal every process of a job at once: torchrun the whole group
of each rank, SLURM the whole job. The rank finishes its step and saves. The loader's workers know
of no signal: without them the step could not be finished.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker

# a scheduler's, the terminal's, a lost terminal's, and what `sbatch --signal` is often asked for
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
POLL = 1.0  # seconds until a worker sees that its parent is gone


@contextlib.contextmanager
def received(*, announce: bool) -> Iterator[list[int]]:
    """A list that is no longer empty once one of SIGNALS came; `announce` tells so on stderr."""
    numbers: list[int] = []

    def note(number: int, frame) -> None:
        if announce and not numbers:
            name = signal.Signals(number).name
            # not print: a handler may interrupt one
            os.write(2, f"{name}: this step is finished and saved, then training ends\n".encode())
        numbers.append(number)

    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield numbers
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def withheld() -> Iterator[None]:
    """SIGNALS wait until the block ends; processes that start in it never receive them."""
    resource_tracker.ensure_running()  # where workers are spawned it starts, and lets signals in
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def shield(worker: int) -> None:
    """A loader's `worker_init_fn`: this worker ends when its rank ends it, or is gone.

    Before that it must be started in `withheld`, else a signal may come before this call.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # a server of forks has another mask
    rank = multiprocessing.parent_process().pid
    threading.Thread(target=_leave_with, args=(rank, os.getppid()), daemon=True).start()


def _leave_with(rank: int, parent: int) -> None:
    """End this process, whatever it is at, when `rank` sends SIGTERM or `parent` is gone."""
    while os.getppid() == parent:
        came = signal.sigtimedwait(SIGNALS, POLL)
        if came and came.si_signo == signal.SIGTERM and came.si_pid == rank:
            break
    os._exit(0)
