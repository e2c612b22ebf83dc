"""`python -m snakemake`, which looks for modules where it is started."""

import os
import sys
from pathlib import Path

from snakemake.cli import main
from snakemake_executor_plugin_slurm_jobstep import Executor

sys.path[0] = str(Path.cwd())
sys.orig_argv = [sys.executable, "-m", "snakemake", *sys.argv[1:]]  # to be started anew by
if forked := os.environ.get("FORKED_PYTHON"):  # a job on SLURM starts another Snakemake
    Executor.get_python_executable = lambda self: forked
main()
