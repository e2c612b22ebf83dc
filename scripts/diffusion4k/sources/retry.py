"""Patience with a server that is busy, broken or out of reach for a while.

huggingface_hub retries single requests on its own (five times, seconds apart); this is for what
outlasts that, and for the requests that it does not retry.
"""

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TextIO, TypeVar

BACK_OFF = (5, 15, 45, 120)  # seconds between the tries of one job; Snakemake retries the job
JOBS = 4  # retries of rule fetch_source, and the first
LONGEST = 1800  # seconds; a server that asks for a longer pause is left to a later run

T = TypeVar("T")
_aloud: list[tuple[TextIO, str]] = []


def aloud(descriptor: int, name: str) -> None:
    """Say pauses on this file descriptor too, with a name before them: a job's stderr is its log.

    One that is not open, such as the terminal's in a container, is done without.
    """
    with contextlib.suppress(OSError):
        _aloud.append((os.fdopen(descriptor, "w", encoding="utf-8", errors="replace"), name))


def patiently(call: Callable[[], T]) -> T:
    """`call()`, again after BACK_OFF while its error may pass, or after what the server asks for.

    The error of the last try, and one that will not pass (see `may_pass`), is the caller's.
    """
    for pause in BACK_OFF:
        try:
            return call()
        except Exception as error:
            pause = max(pause, asked(error))
            if not may_pass(error) or pause > LONGEST:
                raise
            _say(f"{reason(error)}; trying again in {pause} s")
        time.sleep(pause)
    return call()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
    for stream, name in _aloud:
        print(f"{name}: {line}", file=stream, flush=True)


def may_pass(error: BaseException) -> bool:
    """Whether the same request can succeed later: rate limits, server faults, lost connections."""
    from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled

    response = answer(error)
    if response is not None:
        return response.status_code in (408, 425, 429) or response.status_code >= 500
    for link in _chain(error):
        if isinstance(link, OfflineModeIsEnabled):
            return False
        # HTTPError is httpx's own, no kin of ConnectionError; Xet's faults are RuntimeErrors
        if isinstance(link, HTTPError | ConnectionError | TimeoutError | RuntimeError):
            return True
    # an OSError with a number is this machine's (a full disk); huggingface_hub's own has none
    return isinstance(error, OSError) and error.errno is None


def asked(error: BaseException) -> int:
    """Seconds that the server asks to wait: Retry-After (seconds or a date) or RateLimit; or 0."""
    headers = getattr(answer(error), "headers", {})
    wish = headers.get("retry-after", "").strip()
    if wish.isdigit():
        return int(wish)
    if wish:
        try:
            left = parsedate_to_datetime(wish) - datetime.now(UTC)
        except (ValueError, TypeError):
            return 0
        return max(0, round(left.total_seconds()))
    limit = re.search(r"\br=0\s*;\s*t=(\d+)", headers.get("ratelimit", ""))
    return int(limit[1]) + 1 if limit else 0


def answer(error: BaseException) -> Any:
    """The response (httpx's) behind an error; huggingface_hub wraps a 429 in a missing file."""
    return next((r for e in _chain(error) if (r := getattr(e, "response", None)) is not None), None)


def reason(error: BaseException) -> str:
    """What went wrong, in one line; of an answer its status only: the text may quote a token."""
    response = answer(error)
    if response is not None:
        return f"{response.url.host} answered with status {response.status_code}"
    first = list(_chain(error))[-1]
    return " ".join(f"{type(first).__name__}: {first}".split())[:300]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__
