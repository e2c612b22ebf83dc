"""Ask Snakemake what it would do, and read what it says."""

import re
import subprocess
import sys
from collections.abc import Sequence

from diffusion4k import streams
from diffusion4k.errors import UserError

SNAKEMAKE = (sys.executable, "-m", "snakemake")
_NAMED = re.compile(r"(?:\w+(?:Error|Exception)(?: in .*)?|\S+: error):\s*(?P<text>.*)$")
_PLACE = re.compile(r"\s*(File \"|\^+$)")


def ask(arguments: Sequence[str]) -> str:
    """What Snakemake prints to stdout under `arguments`, such as -n; UserError with its reason."""
    done = subprocess.run(
        [*SNAKEMAKE, *arguments], capture_output=True, text=True, encoding="utf-8",
        env=streams.piped(),
    )  # fmt: skip
    if done.returncode:
        # a profile's logger may print it to stdout
        raise UserError(fault((done.stderr.strip() or done.stdout.strip()).splitlines()))
    return done.stdout


def fault(said: Sequence[str]) -> str:
    """Why there is no plan: what follows the last error that is named, without its places."""
    named = [at for at, line in enumerate(said) if _NAMED.match(line)]
    if named:
        text = _NAMED.match(said[named[-1]])["text"]
        said = [text, *(line for line in said[named[-1] + 1 :] if not _PLACE.match(line))]
    return "\n".join(line.strip() for line in said[-10:] if line.strip()) or "snakemake failed"
