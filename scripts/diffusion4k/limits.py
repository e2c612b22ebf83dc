"""Numbers with limits: what a command line's flags take, and a recipe's.

With `type=limits.natural`, argparse says: "argument --crops: should be at least 0, not -1".
"""

import argparse
import math
import operator
from collections.abc import Callable

HOLDS = {
    "ge": ("at least", operator.ge),
    "gt": ("more than", operator.gt),
    "le": ("at most", operator.le),
    "lt": ("less than", operator.lt),
    "multiple_of": ("a multiple of", lambda value, bound: value % bound == 0),
}


def number(of: type, **limits: float) -> Callable[[str], float]:
    """The type of a flag: an `int` or a finite `float` within limits, named as pydantic's are.

    ge, gt, le, lt: greater or equal, greater than, less or equal, less than; multiple_of: of an
    integer.
    """

    def parse(text: str) -> float:
        value = of(text)
        if of is float and not math.isfinite(value):  # which takes no integer of 400 digits
            raise argparse.ArgumentTypeError(f"should be a finite number, not {text}")
        if not all(HOLDS[limit][1](value, bound) for limit, bound in limits.items()):
            words = " and ".join(f"{HOLDS[limit][0]} {bound}" for limit, bound in limits.items())
            raise argparse.ArgumentTypeError(f"should be {words}, not {text}")
        return value

    parse.__name__ = of.__name__  # argparse: "invalid int value"
    return parse


T5_TOKENS = 512  # the longest text that T5 was trained on

count = number(int, ge=1)
natural = number(int, ge=0)
seed = number(int, ge=0, le=2**63 - 1)  # what torch's generators take
tokens = number(int, ge=1, le=T5_TOKENS)
finite = number(float)
positive = number(float, gt=0)
not_negative = number(float, ge=0)
side = number(int, ge=32, multiple_of=32)  # px of what an F16 VAE encodes to an even latent
