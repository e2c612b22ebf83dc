"""Run a command on GPUs of this machine that no other job of ours holds.

    python scripts/on_gpus.py 2 torchrun --standalone --nproc-per-node 2 scripts/train.py …

Snakemake counts GPUs but does not hand them out. Here a GPU is taken by a lock that the command
keeps until it ends, and CUDA_VISIBLE_DEVICES names it; where that is set already, only those GPUs
are taken. Under SLURM, which hands them out itself, and without GPUs the command just runs.
"""

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from diffusion4k import limits


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("count", type=limits.natural, help="GPUs to take")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run on them")
    return parser


def devices() -> list[str]:
    """The GPUs that may be taken."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, encoding="utf-8").stdout
    return [str(i) for i, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]


def take(pool: list[str], count: int) -> list[str]:
    """Lock `count` GPUs of `pool` for this process and what it becomes; waits until they are free.

    All or none, so that two jobs that want several never wait for each other.
    """
    folder = Path(tempfile.gettempdir()) / f"diffusion4k-gpus-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    announced = False
    while True:
        taken: dict[str, int] = {}
        for name in pool:
            handle = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                taken[name] = handle
            except BlockingIOError:
                os.close(handle)
            if len(taken) == count:
                for kept in taken.values():
                    os.set_inheritable(kept, True)
                return list(taken)
        for handle in taken.values():
            os.close(handle)
        if not announced:
            announced = True
            print(f"waiting: {len(taken)} of {count} GPUs are free", file=sys.stderr, flush=True)
        time.sleep(1)


def main() -> None:
    args = parser().parse_args()
    pool = [] if "SLURM_JOB_ID" in os.environ else devices()
    if pool:
        if args.count > len(pool):
            sys.exit(
                f"error: the job asks for {args.count} GPUs, this machine has {len(pool)}; lower "
                "backbones.<name>.train.gpus (and micro_batch) or resources.<step>.gpu"
            )
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(take(pool, args.count))
    os.execvp(args.command[0], args.command)


if __name__ == "__main__":
    main()
