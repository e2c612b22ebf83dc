"""GLCM Score and Compression Ratio of a folder of JPEGs with one and two workers: speed, memory.

The whole program as a rule runs it (scripts/texture.py: decoding, scoring, a save an image), each
time in a process of its own, whose peak memory the system reports; the fastest of some rounds in
turn. Images are a real photograph, mirrored and tiled, another piece of it each.

    python benchmarks/texture.py            8 images of 4096 px, half a minute
    python benchmarks/texture.py --quick    4 images of 1024 px, for CI
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from photograph_shard import photograph_shard

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
from diffusion4k import cli, manifest
from diffusion4k.errors import UserError
from diffusion4k.files import write_text

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "texture.py"


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--size", type=int, default=4096, help="px, side of an image")
    flags.add_argument("--images", type=int, default=8)
    flags.add_argument("--rounds", type=int, default=3, help="of each; the fastest counts")
    flags.add_argument("--quick", action="store_true", help="4 images of 1024 px")
    flags.add_argument("--output", type=Path, help="write the result as JSON")
    return flags


def score(shard: Path, threads: int) -> tuple[float, float]:
    """(seconds of scoring, memory in GB of the process that needs most) of texture.py by itself."""
    output = shard.parent / f"texture-{threads}.json"
    command = [sys.executable, str(SCRIPT), "--images", str(shard), "--workers", str(threads)]
    child = os.posix_spawn(sys.executable, [*command, "--output", str(output)], os.environ)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise UserError(f"texture.py failed on {shard}")
    return manifest.read(output).seconds, usage.ru_maxrss / 1e6


def run(args: argparse.Namespace) -> None:
    size, count = (1024, 4) if args.quick else (args.size, args.images)
    with tempfile.TemporaryDirectory() as folder:
        shard = photograph_shard(Path(folder), size, count)
        score(shard, 1)  # compiles, where nothing is cached yet
        rounds = [
            {threads: score(shard, threads) for threads in (1, 2)} for _ in range(args.rounds)
        ]
    measured = {threads: min(done[threads] for done in rounds) for threads in (1, 2)}
    print(f"GLCM Score and Compression Ratio of {count} JPEGs of {size} x {size} px")
    for threads, (seconds, memory) in measured.items():
        each = f"at most {memory:.2f} GB a process"
        print(f"{threads} worker(s): {count / seconds:6.2f} images/s, {each}")
    print(f"two workers are {measured[1][0] / measured[2][0]:.2f} x as fast")
    result = {
        "size": size,
        "images": count,
        "images_per_second": {str(t): count / s for t, (s, _) in measured.items()},
        "peak_gb": {str(t): memory for t, (_, memory) in measured.items()},
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "device": f"CPU, {platform.machine()}, {os.cpu_count()} cores",
        "load": os.getloadavg()[0],  # above the cores: others worked too, and threads had to share
    }
    if args.output:
        write_text(args.output, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    cli.main(run, parser())
