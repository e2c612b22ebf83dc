"""How far float32 results may lie apart that another processor, or another kernel, computed.

Kernels add the same terms in another order and with wider or narrower vectors. What they may make
of it follows from the arithmetic, so no tolerance is tuned to the machine that ran a test.
"""

import torch

UNIT = 2.0**-24  # unit roundoff of float32
SIGMAS = 6  # of a normal law: one value in 5e8 lies beyond


def terms(*modules: torch.nn.Module) -> int:
    """Products added up on the longest way through `modules`, at most.

    The sum of the fan-in of every matrix and kernel: as if they all stood in one row.
    """
    return sum(p[0].numel() for m in modules for p in m.parameters() if p.ndim > 1)


def tolerance(terms: float, scale: float) -> float:
    """What two float32 computations of one value may differ by.

    terms: how many products are added up on the way to it. scale: the magnitude of the sums, the
    largest of the values that are compared. A term is rounded by at most UNIT * scale, in either
    direction: as a uniform law, with deviation UNIT * scale / sqrt(3). Independent roundings add
    in squares (Higham and Mary, SIAM J. Sci. Comput. 41, 2019), those of both computations
    together to sqrt(2 terms / 3) UNIT scale, of which SIGMAS are allowed. Networks with weights
    of unit gain, or normalised layers, hand an error on without enlarging it.
    """
    return SIGMAS * (2 * terms / 3) ** 0.5 * UNIT * scale


def assert_close(actual: torch.Tensor, expected: torch.Tensor, terms: float) -> None:
    """AssertionError unless shapes are equal and every value is within `tolerance`."""
    scale = expected.abs().max().item()
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance(terms, scale))
