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
    call is raised in its place; where another comes before its turn, it is a note of that one.
    """
    with _finishing() as stop, ThreadPoolExecutor(1, thread_name_prefix="pictures") as thread:
        waiting: list[Future[T]] = []
        try:
            for call in calls:
                waiting.append(thread.submit(call))
                stop()
                if len(waiting) > 1:
                    yield waiting[0].result()
                    del waiting[0]
            for last in waiting:
                yield last.result()
        except BaseException as error:
            for queued in waiting:
                failed = queued.exception()
                if failed is not None and failed is not error:
                    error.add_note(f"what was queued failed too: {failed!r}")
            raise


@contextmanager
def _finishing() -> Iterator[Callable[[], None]]:
    """ENDINGS end the block by an exception, once, where they would have ended the process.

    Python drops one that is raised while an object is deleted, and the signals are ignored by then:
    what is yielded raises it again, and so does the end of the block.
    """
    received: list[int] = []

    def leave(number: int, frame) -> None:
        for each in mine:
            signal.signal(each, signal.SIG_IGN)  # what is queued takes a second
        received.append(number)
        stop()

    def stop() -> None:
        if received:
            raise SystemExit(128 + received[0])  # as a shell says of what a signal ended

    mine = [number for number in ENDINGS if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        mine = []  # which alone receives them
    for number in mine:
        signal.signal(number, leave)
    try:
        yield stop
        stop()
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)
