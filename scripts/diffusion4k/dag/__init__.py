"""File names and flags of every stage, as pure functions of the configuration, for the rules."""

import os
import sys
from pathlib import Path


def use_own_interpreter() -> None:
    """Let `python` in a rule be the one that runs Snakemake; a conda environment still wins."""
    own = str(Path(sys.executable).parent)
    if own not in os.environ.get("PATH", "").split(os.pathsep)[:1]:
        os.environ["PATH"] = os.pathsep.join([own, os.environ.get("PATH", "")])
