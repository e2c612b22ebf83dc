"""What a running segment tells the outside: a small file, replaced every few seconds.

`make status` reads it from the login node. It also guards the segment: of two jobs that train it
(a node that was lost and lives on) the older stops when it next tells or saves, and a segment whose
jobs keep dying before they save is given up instead of using all of its slots.
"""

import json
import os
import socket
import time
import uuid
from pathlib import Path
from typing import Any

from diffusion4k.errors import UserError
from diffusion4k.files import write_text

NAME = "progress.json"
EVERY = 5.0  # seconds between two replacements
STARTS = 3  # jobs in a row without a save that are a fault and no accident

Record = dict[str, Any]


def notice(record: Record) -> float | None:
    """Seconds that a training needs between a signal and the end of its save; None: not known yet.

    A whole step and a save, as they last took. A scheduler that kills sooner (SLURM's KillWait,
    torchrun's --shutdown-timeout) loses the steps since the save before.
    """
    if "seconds_per_step" not in record or "seconds_saving" not in record:
        return None
    return record["seconds_per_step"] + record["seconds_saving"]


class Progress:
    """progress.json in `folder`, kept by the main process of a segment; the others do nothing.

    `attempt` is Snakemake's: 1 forgets how often earlier jobs died. UserError: they died too often.
    """

    def __init__(self, folder: Path, *, attempt: int, stop_step: int):
        self.main = os.environ.get("RANK", "0") == "0"
        self._path = folder / NAME
        if not self.main:
            return
        before = read(self._path)
        died, slots = (before.get(k, 0) if attempt > 1 else 0 for k in ("starts", "slots"))
        if died >= STARTS:
            why = before.get("error", "killed: raise resources.train.mem_mb or lower save_every?")
            raise UserError(
                f"{folder}: {died} jobs in a row ended before they saved ({why}); mend it, then "
                "the same command goes on"
            )
        self._began: tuple[int, float] | None = None
        self._saving_since: float | None = None
        self._record: Record = {
            "owner": uuid.uuid4().hex,
            "host": socket.gethostname(),
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
            "started": time.time(),
            "starts": died + 1,
            "slots": slots,
            "stop_step": stop_step,
            "state": "starting",
        }
        if "seconds_saving" in before:  # until this job has saved itself
            self._record["seconds_saving"] = before["seconds_saving"]
        self._write()

    def step(self, row: Record) -> None:
        """After each step, its row of the history; the file is replaced every five seconds.

        UserError when another job has taken over the segment.
        """
        if not self.main:
            return
        now = time.time()
        first, clock = self._began = self._began or (row["step"] - 1, now - row["seconds"])
        self._record |= {"step": row["step"], "loss": row["loss"], "state": "running"}
        self._record["seconds_per_step"] = (now - clock) / (row["step"] - first)
        if now - self._record["updated"] >= EVERY:
            self._guard()
            self._write(durable=False)  # the next step need not wait for a disk

    def saving(self) -> None:
        """Before each save; UserError when another job has taken over the segment."""
        if self.main:
            self._guard()
            self._saving_since = time.monotonic()

    def saved(self, step: int, state: str = "running") -> None:
        """After each save; `state` running, saved (ended before the last step) or finished."""
        if self.main:
            self._record["slots"] += state == "saved"
            if self._saving_since is not None:
                seconds = time.monotonic() - self._saving_since
                self._record["seconds_saving"], self._saving_since = round(seconds, 3), None
        self._tell(step=step, saved_step=step, starts=0, state=state)

    def failed(self, error: Exception) -> None:
        """What ended the job, in the words of its error."""
        self._tell(state="failed", error=str(error))

    def _guard(self) -> None:
        if not self._ours():
            self.main = False  # the file is the other's
            raise UserError(f"{self._path}: another job goes on with this segment; stopped")

    def _tell(self, **news: Any) -> None:
        if self.main and self._ours():
            self._record |= news
            self._write()

    def _ours(self) -> bool:
        return read(self._path).get("owner") == self._record["owner"]

    def _write(self, *, durable: bool = True) -> None:
        """Replace the file; one that is not `durable` outlives this process, not its machine."""
        self._record["updated"] = time.time()
        text = json.dumps(self._record, indent=1) + "\n"
        if durable:
            write_text(self._path, text)
        else:
            temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(self._path)


def read(path: Path) -> Record:
    """A progress file's content; empty when there is none, or what is there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
