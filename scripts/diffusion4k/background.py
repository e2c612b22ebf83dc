"""Work behind other work: a picture is encoded, synced and hashed while the next is sampled."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
ENDINGS = (signal.SIGTERM, signal.SIGHUP)  # a scheduler's, a lost terminal's; Ctrl-C raises anyway


def one_behind(calls: Iterable[Callable[[], T]]) -> Iterator[T]:
    """What each call returns, in order; it runs in a thread while the next is being made.

    So at most two calls, and what they hold, are waiting or at work. However the iteration ends,
    by an error, a signal of ENDINGS or Ctrl-C too, what is queued is finished first. An error of a
    call is raised in its place.
    """
    with _finishing(), ThreadPoolExecutor(1, thread_name_prefix="pictures") as thread:
        before: Future[T] | None = None
        for call in calls:
            queued = thread.submit(call)
            if before is not None:
                yield before.result()
            before = queued
        if before is not None:
            yield before.result()


@contextmanager
def _finishing() -> Iterator[None]:
    """ENDINGS end the block by an exception, once, where they would have ended the process."""

    def leave(number: int, frame) -> None:
        for each in mine:
            signal.signal(each, signal.SIG_IGN)  # what is queued takes a second
        raise SystemExit(128 + number)  # as a shell says of a process that a signal ended

    mine = [number for number in ENDINGS if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        mine = []  # which alone receives them
    for number in mine:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)
