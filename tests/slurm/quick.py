"""Snakemake that looks at its jobs every second, so that the tests of faults take seconds.

The SLURM plugin waits ten seconds longer after each look at which nothing had ended.
"""

import os
import signal
import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

Executor.next_seconds_between_status_checks = property(lambda self: 1, lambda self, value: None)

if __name__ == "__main__":
    # a shell's background jobs inherit that Ctrl-C is ignored, and CI may be one
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if forked := os.environ.get("FORKED_PYTHON"):
        Executor.get_python_executable = lambda self: forked
    main(sys.argv[1:])
