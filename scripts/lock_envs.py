"""Write envs/*.yaml, the conda environments, from the dependency groups and requirements*.lock.

Every version is the lock's, so that a conda environment and the locked one agree; iqa, which goes
with no other group, has a lock of its own. --check compares instead of writing, without a network:
each pin of envs/*.yaml must be its lock's, and what is conda's own what is written here.
"""

import argparse
import re
import subprocess
from pathlib import Path

import yaml

from diffusion4k import cli
from diffusion4k.errors import UserError
from diffusion4k.files import write_text

ROOT = Path(__file__).resolve().parent.parent
# group, and name of its environment -> lock
LOCKS = dict.fromkeys(("gpu", "metrics", "paper"), ROOT / "requirements.lock")
LOCKS["iqa"] = ROOT / "requirements-iqa.lock"
# what conda itself must bring: training builds DeepSpeed's CPU Adam (with pip's ninja)
CONDA = {"gpu": ["cxx-compiler"]}
PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;]+)( ;[^\\\n]+)?", re.MULTILINE)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uv", default="uv", help="the uv that resolves")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    return parser


def pins(text: str) -> list[str]:
    """name==version, with its marker when it has one, of every pinned package."""
    return [
        f"{name}=={version}{(marker or '').rstrip()}" for name, version, marker in PIN.findall(text)
    ]


def conda_part(group: str) -> list[str]:
    """The packages of an environment that are not pip's."""
    return ["python=3.11", *CONDA.get(group, []), "pip"]


def environment(group: str, lock: Path, uv: str) -> str:
    command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--no-header", "--no-annotate", "--group", group, "--constraint", str(lock)]
    compiled = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8"
    ).stdout
    content = {
        "channels": ["conda-forge"],
        "dependencies": [*conda_part(group), {"pip": pins(compiled)}],
    }
    return f"# made by `make lock` from pyproject.toml and {lock.name}\n" + yaml.safe_dump(
        content, sort_keys=False, width=200
    )


def check(path: Path, lock: Path) -> None:
    locked = {pin.split(" ;")[0] for pin in pins(lock.read_text(encoding="utf-8"))}
    *conda, pip = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    if conda != conda_part(path.stem):
        raise UserError(f"{path}: {conda} should be {conda_part(path.stem)}; run make lock")
    unlike = sorted({pin.split(" ;")[0] for pin in pip["pip"]} - locked)
    if unlike:
        raise UserError(f"{path}: {unlike[0]} is not what {lock.name} says; run make lock")


def run(args: argparse.Namespace) -> None:
    for group, lock in LOCKS.items():
        path = ROOT / "envs" / f"{group}.yaml"
        if args.check:
            check(path, lock)
        else:
            write_text(path, environment(group, lock, args.uv))


if __name__ == "__main__":
    cli.main(run, parser())
