"""Kill a run at random moments, damage what it has made, mend it, and let it end."""

import os
import random
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from diffusion4k.ledger import check


def run(
    command: Sequence[str], folder: Path, results: Path, mend: Callable[[], None], *,
    kills: int, longest: float, damages: int = 3,
) -> list[str]:  # fmt: skip
    """Start `command` in `folder` and kill it, `kills` times; what was done, a line each.

    Each time after a random number of seconds up to `longest`; after `damages` of the kills, a file
    that a manifest below `results` lists is altered, cut short or deleted, and `mend` is called.
    Then the command runs to its end. Snakemake's lock is released after each kill. CHAOS_SEED of
    the environment decides the moments and the files; pytest's last line says it.
    """
    seed = int(os.environ["CHAOS_SEED"])
    dice, done = random.Random(seed), [f"CHAOS_SEED={seed}"]

    def told(line: str) -> None:  # at once: a run that is itself stopped has said what it did
        print(line, flush=True)
        done.append(line)

    harmed = set(dice.sample(range(kills // 3, kills), damages))
    for kill in range(kills):
        wait = dice.uniform(0.2, longest)
        with Path(folder, "chaos.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=folder, stdout=log, stderr=log, start_new_session=True
            )
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            told(f"kill {kill + 1} of {kills}, after {wait:.1f} s")
        finally:  # also where the test itself is stopped
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        unlock(folder)
        if kill in harmed and (line := damage(results, dice)):
            told(line)
            mend()
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 0, (done, ended.stdout + ended.stderr)
    return done


def unlock(folder: Path) -> None:
    """Release the lock of a Snakemake that was killed; no other may run in the folder."""
    for path in Path(folder, ".snakemake/locks").glob("*"):
        path.unlink()


def damage(results: Path, dice: random.Random) -> str:
    """Damage one file of the bulk; what was done, "" when there is none yet."""
    made = check.find(results, {})
    files = sorted({path for each in made for path in each.paths() if path.is_file()})
    if not files:
        return ""
    path = dice.choice(files)
    how = dice.choice(["deleted", "cut short", "altered"])
    data = bytearray(path.read_bytes())
    if how == "deleted" or not data:
        path.unlink()
    elif how == "cut short":
        os.truncate(path, len(data) // 2)
    else:
        data[dice.randrange(len(data))] ^= 1
        with path.open("r+b") as file:
            file.write(data)
    return f"{how}: {path}"


def content(results: Path) -> dict[str, str]:
    """Manifest => digest of what it means; what it means is there, whole."""
    report = check.check(results, workers=2, progress=lambda total: lambda read: None)
    assert report.lines() == []
    return {made.path.relative_to(results).as_posix(): made.digest for made in report.manifests}
