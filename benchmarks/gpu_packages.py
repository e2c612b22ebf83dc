"""Pack what a machine with torch, and no network, lacks for gpu_check.py, at the locked versions.

    python benchmarks/gpu_packages.py [--python 3.12] --output results/gpu-packages.tar.xz
    (or: make gpu-packages)

The packages of WANTED and what they need, but for those of THERE, are installed for that Python
into a folder and packed. bitsandbytes brings a library for each CUDA, 150 MB: one is kept. What the
lock has not is FlashAttention 3: `FLASH_3`, its forward pass alone, under the names that diffusers
knows, so that `--attention flash_3` of generate.py and attention.py can be measured without a hub.
"""

import argparse
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

# what the steps of gpu_check.py import that is torch's or many others' need
THERE = {
    "torch", "torchvision", "triton", "numpy", "pillow", "scipy", "pandas", "pyarrow", "numba",
    "llvmlite", "matplotlib", "scikit-image", "scikit-learn", "opencv-python-headless", "protobuf",
    "sentencepiece", "tensorboard", "setuptools", "ninja", "psutil", "sympy", "networkx", "grpcio",
    "fsspec", "filelock", "jinja2", "requests", "urllib3", "certifi", "tqdm", "pyyaml", "packaging",
    "regex", "hf-xet", "msgpack", "einops", "rich", "aiohttp", "typing-extensions",
}  # fmt: skip
WANTED = (
    "diffusers", "transformers", "accelerate", "deepspeed", "bitsandbytes", "pywavelets",
    "open-clip-torch", "torch-fidelity", "lpips", "clean-fid", "torchmetrics", "pydantic",
    "jsonschema", "snakemake",
)  # fmt: skip
# a wheel for CUDA 13 and torch from 2.10 on, and its hash: FlashAttention 3 compiled without what
# trains; torch's own index has none, the hub of the package `kernels` is a network away
FLASH_3 = (
    "fa3-fwd==0.0.3",
    "44d26c6cfc69dde5a0f9c6bebbccbb96ed20e97bc8b9ddda638b0bf62e91b93d",
)
FLASH_3_NAMES = {  # what diffusers asks for => what the wheel calls it
    "flash_attn_interface.py": "from fa3_fwd_interface import *\n",
    "flash_attn_config.py": "from fa3_fwd_config import *\n",
    "flash_attn_3/__init__.py": "",
    "flash_attn_3-3.0.0.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: flash_attn_3\nVersion: 3.0.0\n"
    ),
}
MOST = 64 * 2**20  # bytes


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(wanted: Iterable[str]) -> dict[str, str]:
    """Name and locked version of each package, from what this environment has installed."""
    found, waiting = {}, [canonical(name) for name in wanted]
    while waiting:
        name = waiting.pop()
        if name in found or name in THERE or name.startswith(("nvidia-", "cuda-")):
            continue
        distribution = importlib.metadata.distribution(name)
        found[name] = distribution.version
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(canonical(requirement.name))
    return dict(sorted(found.items()))


def install(uv: str, packages: dict[str, str], folder: Path, python: str) -> None:
    """Install into a folder for x86-64 Linux; DeepSpeed, which has no wheel, is built."""
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    command += ["--python", sys.executable, "--python-version", python]
    command += ["--python-platform", "x86_64-manylinux_2_28", "--link-mode", "copy"]
    subprocess.run([*command, *(f"{n}=={v}" for n, v in packages.items())], check=True)
    kernel, digest = FLASH_3
    hashed = ["--require-hashes", "--requirements", "-"]
    line = f"{kernel} --hash=sha256:{digest}\n"
    subprocess.run([*command, *hashed], input=line, encoding="utf-8", check=True)
    for name, text in FLASH_3_NAMES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def prune(folder: Path, cuda: str) -> None:
    """Drop other CUDAs' libraries, PuLP's solvers for every system, tests, compiled Python."""
    for library in (folder / "bitsandbytes").glob("libbitsandbytes_*.so"):
        if library.stem not in (f"libbitsandbytes_cuda{cuda}", "libbitsandbytes_cpu"):
            library.unlink()
    for name in ("__pycache__", "tests", "bin", "solverdir"):
        for path in sorted(folder.rglob(name), reverse=True):
            shutil.rmtree(path)


def pack(folder: Path, output: Path) -> int:
    """Bytes of the archive that it writes; a minute, for half the size of a zip file."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(output, "w:xz") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.add(path, path.relative_to(folder))
    return output.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uv", default="uv")
    parser.add_argument("--python", default="3.12", help="of the machine")
    parser.add_argument("--cuda", default="130", help="of the machine's torch, without the dot")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    packages = needed(WANTED)
    print(", ".join(f"{name} {version}" for name, version in packages.items()))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        install(args.uv, packages, folder, args.python)
        prune(folder, args.cuda)
        size = pack(folder, args.output)
    print(f"{args.output}: {size / 2**20:.1f} MiB")
    if size > MOST:
        sys.exit(f"more than {MOST / 2**20:.0f} MiB: add what the machine has to THERE")


if __name__ == "__main__":
    main()
