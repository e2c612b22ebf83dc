"""`python -m snakemake`, which looks for modules where it is started."""

import sys
from pathlib import Path

from snakemake.cli import main

sys.path[0] = str(Path.cwd())
sys.orig_argv = [sys.executable, "-m", "snakemake", *sys.argv[1:]]  # to be started anew by
main()
