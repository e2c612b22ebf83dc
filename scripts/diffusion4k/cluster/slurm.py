"""What SLURM's own commands say, as Python values."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from diffusion4k.errors import UserError

ACTIVE = {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "REQUEUED"}


@dataclass(frozen=True)
class Queued:
    """One job of squeue. `comment` is the executor plugin's: rule_<rule>_wildcards_<values>."""

    id: str
    state: str
    reason: str
    elapsed: str
    comment: str
    nodes: int = 1

    def __str__(self) -> str:
        what = self.comment.removeprefix("rule_").replace("_wildcards_", " ")
        return f"{self.id} ({what}, {self.state.lower()})"


def ask(*command: str, timeout: float = 60) -> str:
    """What a command prints; UserError with its own words when it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=timeout
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"{command[0]}: {error}; is this the cluster's login node?") from None
    if done.returncode:
        raise UserError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def jobs(folder: Path) -> list[Queued]:
    """This user's jobs, waiting or running, that Snakemake submitted in `folder`."""
    lines = ask("squeue", "--me", "--noheader", "--format=%A|%T|%r|%M|%k|%Z|%D").splitlines()
    rows = (line.split("|") for line in lines)
    return [
        Queued(*row[:5], int(row[6]))
        for row in rows
        if row[1] in ACTIVE and row[4].startswith(("rule_", "group_")) and same(row[5], folder)
    ]


def same(path: str, folder: Path) -> bool:
    """Whether a job's work directory is `folder`, whatever links lead there."""
    return Path(path).resolve() == folder.resolve()


def setting(name: str) -> str:
    """A value of `scontrol show config`."""
    match = re.search(rf"^{name}\s*=\s*(.*)$", ask("scontrol", "show", "config"), re.MULTILINE)
    return match[1].strip() if match else ""


def minutes(limit: str) -> float:
    """SLURM's [days-]hours:minutes:seconds, minutes:seconds or minutes; infinite: no limit."""
    if not limit[:1].isdigit():
        return float("inf")
    days, _, clock = limit.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if days:
        hours, mins, secs = (*parts, 0, 0)[:3]
    elif len(parts) == 1:
        hours, mins, secs = 0, parts[0], 0
    else:
        hours, mins, secs = (0, *parts)[-3:]
    return int(days or 0) * 1440 + hours * 60 + mins + secs / 60
