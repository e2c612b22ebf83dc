"""Every check that only a GPU can make, in order of value, each with its own time limit.

    python benchmarks/gpu_check.py [STEP …] [--output FOLDER] [--packages FILE] [--quick] …

Each step is one of the benchmarks here, or the miniature, in a process of its own: what it breaks
stops no other. After each, FOLDER/gpu-check.json is written anew, so that a run which is cut off
keeps what it had; FOLDER holds the steps' own results too. A step that is named runs, the others
do not. After LIMIT no step begins, and one that runs then is ended: not all of them fit, and
those that a second run is to do are named.

`--packages` is the file that `make gpu-packages` leaves, for a machine with torch and no network.
`--quick` rehearses every step, tiny and on the CPU, or with `--device cuda` on the GPU: with
`--beside 8`, eight at once, in a minute or two. Steps beside each other measure no time.
"""

import argparse
import contextlib
import itertools
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
LIMIT = 720  # seconds of all steps
GPU_DEMO = ("--config", "config/demo-gpu.yaml", "--profile", "profiles/local")
ALONE = {"machine", "miniature"}  # they measure imports too: not ahead, and nothing beside them
LARGE = 100  # GB of GPU memory, from which on Flux trains whole


@dataclass(frozen=True)
class Step:
    """A command without its Python, and the seconds that it may take."""

    command: tuple[str, ...]
    seconds: float

    def line(self, output: Path, *, quick: bool, device: str = "cpu") -> list[str]:
        """What to run; `output` is where a benchmark leaves its JSON, `device` of a quick one."""
        script, *flags = self.command
        if script.startswith("benchmarks/"):
            flags += ["--output", str(output)]
            flags += ["--quick", "--device", device] if quick else []
        elif quick:  # Snakemake's plan of the miniature stands for the miniature
            plan = ["--configfile", "config/demo-gpu.yaml", "--config", "run=unmade"]
            return [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", *plan, "--", "all"]
        return [sys.executable, str(ROOT / script), *flags]


def steps(gpu_gb: float) -> dict[str, Step]:
    """By name, the most valuable first; what trains depends on the GPU's memory."""

    def step(seconds: float, *command: str) -> Step:
        return Step(command, seconds)

    once = ("--repeats", "1")
    generate, train = ("benchmarks/generate.py", *once), ("benchmarks/train.py", *once)
    train = (*train, "--keep-attention", "--only-ours")
    sd3 = (*train, "--backbone", "sd3", "--batch", "8")  # as in training
    flux = (*train, "--backbone", "flux")
    whole = (*flux, "--share", "1" if gpu_gb >= LARGE else "3", "--accumulate", "4")
    small = (*flux, "--optimizer", "adamw_8bit_bf16")  # whole on 80 GB: steps in the backward pass
    segment = ("benchmarks/segment.py", "--variant")
    cudnn, flash_3 = ("--attention", "cudnn"), ("--attention", "flash_3")
    return {
        "machine": step(60, "benchmarks/machine.py"),
        "segment": step(90, *segment, "plain"),
        "train_sd3_cudnn": step(60, *sd3, *cudnn),
        "train_flux_80gb_cudnn": step(90, *small, *cudnn),
        "train_flux": step(150, *whole),
        "train_flux_cudnn": step(150, *whole, *cudnn),
        "generate_sd3_flash_3": step(120, *generate, "--backbone", "sd3", *flash_3),
        "vae": step(60, "benchmarks/vae.py", *once),
        "attention_flux": step(45, "benchmarks/attention.py", "--backbone", "flux", *once),
        "train_sd3": step(60, *sd3),
        "train_flux_80gb": step(90, *small),
        "train_sd3_compile": step(100, *sd3, *cudnn, "--compile"),
        "generate_sd3": step(120, *generate, "--backbone", "sd3", "--attention", "native"),
        "generate_flux": step(180, *generate, "--backbone", "flux", "--attention", "native"),
        "between": step(75, "benchmarks/between.py", "--backbone", "sd3"),
        "miniature": step(480, "scripts/demo.py", *GPU_DEMO),
        "segment_offload": step(120, *segment, "offload"),
        "segment_deterministic": step(90, *segment, "deterministic"),
        "segment_8bit": step(90, *segment, "8bit"),
        "segment_bf16": step(90, *segment, "bf16"),
        "attention_sd3": step(45, "benchmarks/attention.py", "--backbone", "sd3", *once),
        "generate_flux_flash_3": step(180, *generate, "--backbone", "flux", *flash_3),
        "train_flux_80gb_compile": step(120, *small, *cudnn, "--compile"),
        "train_sd3_deterministic": step(60, *sd3, "--deterministic"),
        "reconstruct": step(90, "benchmarks/reconstruct.py", "--whole"),
        "train_vae": step(60, "benchmarks/train_vae.py", *once),
        "latents": step(90, "benchmarks/latents.py", *once),
        "metrics": step(120, "benchmarks/score.py", *once),
    }


class Running:
    """A step's process. One that is started `ahead` imports, then waits for its turn.

    Imports are much of a short benchmark: the next one's are done meanwhile.
    """

    def __init__(self, name: str, step: Step, environment: dict[str, str], args, *, ahead=False):
        self.output, self.log = args.output / name, args.output / f"{name}.log"
        self.turn = args.output / f"{name}.turn"
        self.turn.unlink(missing_ok=True)
        if ahead:
            environment = environment | {"GPU_CHECK_TURN": str(self.turn.resolve())}
        with self.log.open("w", encoding="utf-8") as said:
            self.process = subprocess.Popen(
                step.line(self.output, quick=args.quick, device=args.device),
                cwd=ROOT, env=environment, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip

    def result(self, seconds: float, stop: threading.Event) -> dict:
        """It is its turn, for so long; {state, seconds, results: the JSONs that it left, said}."""
        began = time.monotonic()
        self.turn.touch()
        while (status := self.process.poll()) is None and not stop.is_set():
            if time.monotonic() - began > seconds:
                break
            time.sleep(0.05)
        state = "stopped" if stop.is_set() else f"over its {seconds:.0f} s"
        if status is not None:
            state = "done" if status == 0 else f"exit status {status}"
        self.end()
        text = self.log.read_text(encoding="utf-8", errors="replace")
        results = sorted(self.output.glob("*.json"))
        return {
            "state": state,
            "seconds": round(time.monotonic() - began, 1),
            "results": [json.loads(path.read_text("utf-8")) for path in results],
            "said": "" if state == "done" else text[-1500:],
        }

    def end(self) -> None:
        self.turn.unlink(missing_ok=True)
        end(self.process)


def end(process: subprocess.Popen) -> None:
    """Kill a step and what it started, in process groups of their own such as trainings too."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(int(path.name)) == process.pid:
                os.kill(int(path.name), signal.SIGKILL)
    process.wait()


def unpacked(packages: Path, folder: Path) -> str:
    """The PYTHONPATH with the packages of `make gpu-packages` before all others."""
    shutil.unpack_archive(packages, folder, filter="data")
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def gpu() -> tuple[str, float]:
    """Its name and GB of memory; opens no GPU, which the steps want for themselves."""
    if shutil.which("nvidia-smi") is None:
        return f"{platform.machine()} without a GPU", 0.0
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    found = subprocess.run(query, capture_output=True, encoding="utf-8", check=True).stdout
    name, mebibytes = found.splitlines()[0].rsplit(",", 1)
    return name, int(mebibytes) * 2**20 / 1e9


def table(record: dict) -> str:
    """Markdown: a line a step, and one for each row that it measured."""
    lines = ["| step | state | seconds | measured |", "|---|---|---|---|"]
    shown = (
        "peak_gb", "tflops", "share", "saved", "equal", "difference", "images_per_second", "most",
        "psnr",
        "torch", "auto", "attention",
    )  # fmt: skip
    for name, found in record["steps"].items():
        lines.append(f"| {name} | {found['state']} | {found['seconds']:.0f} | |")
        for result in found["results"]:
            for row in result["rows"]:
                values = [f"{row['seconds']:.4g} s"] if "seconds" in row else []
                values += [f"{key} {short(row[key])}" for key in shown if key in row]
                values += [row["failed"]] if "failed" in row else []
                lines.append(f"| | {row['case']} | {row['side']} | {', '.join(values)} |")
            lines += [
                f"| | {what} | failed | {why} |" for what, why in result.get("failed", {}).items()
            ]
    return "\n".join(lines)


def short(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = list(steps(0))
    parser.add_argument("step", nargs="*", metavar="STEP", help=f"of {', '.join(names)}; all")
    parser.add_argument("--output", type=Path, default=ROOT / "results/gpu-check")
    parser.add_argument("--packages", type=Path, help="what `make gpu-packages` made")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of all steps")
    parser.add_argument("--quick", action="store_true", help="tiny, for a test: does it work?")
    parser.add_argument("--device", default="cpu", help="of --quick")
    parser.add_argument("--beside", type=int, default=1, metavar="N", help="so many steps at once")
    parser.add_argument("--patience", type=float, default=1.0, help="multiplies the steps' limits")
    args = parser.parse_args()
    if unknown := set(args.step) - set(names):
        parser.error(f"no step {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    args.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        environment = dict(os.environ)
        if args.packages:
            environment["PYTHONPATH"] = unpacked(args.packages, Path(temporary))
        check(args, environment)


def check(args: argparse.Namespace, environment: dict[str, str]) -> None:
    """Run the steps and print their table."""
    from diffusion4k.files import write_text

    device, memory = gpu()
    record = {
        "benchmark": "gpu-check",
        "date": time.strftime("%Y-%m-%d"),
        "device": device,
        "quick": args.quick,
        "steps": {},
    }
    began = time.monotonic()
    chosen = {n: step for n, step in steps(memory).items() if not args.step or n in args.step}
    following = dict(itertools.pairwise(chosen))
    waiting: dict[str, Running] = {}
    stop = threading.Event()

    def take(name: str, step: Step) -> dict:
        left = args.limit - (time.monotonic() - began)
        if left <= 0 or stop.is_set():
            return {"state": "not begun", "seconds": 0, "results": [], "said": ""}
        print(f"{name} …", flush=True)
        running = waiting.pop(name, None) or Running(name, step, environment, args)
        after = following.get(name, "miniature")
        if args.beside == 1 and not ALONE & {name, after}:
            waiting[after] = Running(after, chosen[after], environment, args, ahead=True)
        return running.result(min(step.seconds * args.patience, left), stop)

    with contextlib.ExitStack() as stack, ThreadPoolExecutor(args.beside) as pool:
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.signal(number, lambda *_: stop.set())
            stack.callback(signal.signal, number, before)
        stack.callback(lambda: [running.end() for running in waiting.values()])
        taken = {pool.submit(take, name, step): name for name, step in chosen.items()}
        found = {}
        for ended in as_completed(taken):
            found[taken[ended]] = ended.result()
            record["steps"] = {name: found[name] for name in chosen if name in found}
            write_text(args.output / "gpu-check.json", json.dumps(record, indent=1) + "\n")
            write_text(args.output / "gpu-check.md", table(record) + "\n")
    print(table(record))
    states = [found["state"] for found in record["steps"].values()]
    sys.exit(0 if set(states) <= {"done"} else 1)


if __name__ == "__main__":
    main()
