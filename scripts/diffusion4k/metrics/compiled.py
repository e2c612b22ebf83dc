"""Numba's compiler, which keeps what it made where it can."""

from collections.abc import Callable

import numba


def compiled(function: Callable) -> Callable:
    """`function` as machine code that lets other threads run, cached beside it or in the home.

    Where neither can be written (a checkout of somebody else's, a job without a home), it is
    compiled anew in each process, which takes seconds, instead of failing.
    """
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # "cannot cache function …: no locator available"
        return numba.njit(nogil=True)(function)
