"""How much memory this process has needed."""

import resource
import sys

import torch


def peak_gb() -> float:
    """The peak so far in GB: of CUDA memory where there is a device, else resident."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9
