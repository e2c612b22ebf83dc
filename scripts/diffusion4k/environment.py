"""Where a process runs: commit, lock, driver, processor; what a manifest records of them.

It decides no byte by itself, and where two runs part it is what one looks at first.
"""

import functools
import hashlib
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# what of the tree decides a run; an edited README makes no tree dirty
PARTS = ("Snakefile", "rules", "scripts", "config", "envs", "requirements.lock")
LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "deepspeed", "numpy", "PIL")


@functools.cache
def checkout() -> dict[str, Any]:
    """{"commit", "dirty", "lock"}: of the checkout when first asked, which `cli.main` does.

    `dirty`: whether tracked files that decide a run are edited. Without git, as in a downloaded
    archive, both are None. `lock`: 16 digits of the SHA-256 of requirements.lock, "" without it.
    """
    commit, edited = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "-uno", "--", *PARTS)
    lock = ROOT / "requirements.lock"
    return {
        "commit": commit,
        "dirty": None if edited is None else bool(edited),
        "lock": hashlib.sha256(lock.read_bytes()).hexdigest()[:16] if lock.is_file() else "",
    }


def machine() -> dict[str, str]:
    """{"processor", "driver"}: names for people; "" where the system does not say."""
    cpu = re.search(r"^model name\s*: (.*)", _text("/proc/cpuinfo"), re.MULTILINE)
    driver = re.search(r"Kernel Module\D*([\d.]+)", _text("/proc/driver/nvidia/version"))
    return {
        "processor": cpu[1] if cpu else platform.processor(),
        "driver": driver[1] if driver else "",
    }


def versions() -> dict[str, str]:
    """Python and those of the project's libraries that this process has imported."""
    imported = {name: getattr(sys.modules.get(name), "__version__", "") for name in LIBRARIES}
    return {"python": platform.python_version()} | {k: v for k, v in imported.items() if v}


def device(name: str) -> str:
    """`cuda` or `cuda:1` as the GPU is called, where torch knows; a rank's `cpu:0` is `cpu`."""
    torch = sys.modules.get("torch")
    if torch and re.fullmatch(r"cuda(:\d+)?", name) and torch.cuda.is_available():
        return torch.cuda.get_device_name(name)
    return re.sub(r"^cpu:\d+$", "cpu", name)


def devices(name: object, processes: int) -> str:
    """What processes of one device each run on: `8 x NVIDIA A100-SXM4-80GB`, `2 x cpu`."""
    model = device(str(name))
    return f"{processes} x {model}" if processes > 1 else model


def _git(*arguments: str) -> str | None:
    try:
        command = ["git", "--no-optional-locks", "-C", str(ROOT), *arguments]  # beside other jobs
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
