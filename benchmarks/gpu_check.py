"""Every check that only a GPU can make, in order of value, each with its own time limit.

    python benchmarks/gpu_check.py [STEP …] [--output FOLDER] [--packages FILE] [--quick] …

Each step (gpu_steps.py) is one of the benchmarks here, or the miniature, in a process of its own:
what it breaks stops no other. After each, FOLDER/gpu-check.json is written anew, and each writes
its results there row by row, so that what is cut off keeps what it had. A step that is named runs,
the others do not; those of earlier runs of the same device into FOLDER stay in the table. After
LIMIT no step begins, and one that runs then is ended: not all of them fit, and those that a second
run is to do are named.

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
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "scripts"))
from gpu_steps import ALONE, Step, steps  # noqa: E402

LIMIT = 720  # seconds of all steps
BUILT = "built"  # in FOLDER


class Running:
    """A step's process. One that is started `ahead` imports, then waits for its turn.

    Imports are much of a short benchmark: the next one's are done meanwhile.
    """

    def __init__(self, name: str, step: Step, environment: dict[str, str], args, *, ahead=False):
        self.output, self.log = args.output / name, args.output / f"{name}.log"
        self.turn, self.built = args.output / f"{name}.turn", args.output / BUILT
        self.turn.unlink(missing_ok=True)
        if not ahead:
            self.clear()
        self.temporary = Path(tempfile.mkdtemp(prefix=f"gpu-check-{name}-"))  # as large as 30 GB
        environment = environment | {"TMPDIR": str(self.temporary)}
        self.ahead, self.alone = ahead, args.beside == 1
        if ahead:
            environment |= {"GPU_CHECK_TURN": str(self.turn.resolve())}
        with self.log.open("w", encoding="utf-8") as said:
            self.process = subprocess.Popen(
                step.line(self.output, quick=args.quick, device=args.device),
                cwd=ROOT, env=environment, stdout=said, stderr=said, start_new_session=True,
            )  # fmt: skip

    def result(self, seconds: float, stop: threading.Event) -> dict:
        """It is its turn, for so long; {state, date, seconds, results: its JSONs, said}."""
        began = time.monotonic()
        if self.ahead:
            self.clear()
        self.turn.touch()
        while (status := self.process.poll()) is None and not stop.is_set():
            if time.monotonic() - began > seconds:
                break
            time.sleep(0.05)
        state = "stopped" if stop.is_set() else f"over its {seconds:.0f} s"
        if status is not None:
            state = "done" if status == 0 else f"exit status {status}"
        kill(self.process)
        said = "" if state == "done" else self.said()
        self.end()
        # torch before 2.15 waits for ever at the lock of a killed build
        if state != "done" and self.alone:
            for lock in self.built.rglob("lock"):
                lock.unlink(missing_ok=True)
        results = sorted(self.output.glob("[!.]*.json"))  # none that was being written
        return {
            "state": state,
            "date": time.strftime("%Y-%m-%d"),
            "seconds": round(time.monotonic() - began, 1),
            "results": [json.loads(path.read_text("utf-8")) for path in results],
            "said": said,
        }

    def clear(self) -> None:
        """Results of an earlier run are none of this one's."""
        shutil.rmtree(self.output, ignore_errors=True)

    def said(self) -> str:
        """The ends of its log and of those that what it started has left."""
        logs = [self.log, *sorted(path for path in self.temporary.rglob("log") if path.is_file())]
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in logs]
        return "\n".join(text[-1500:] for text in texts)

    def end(self) -> None:
        """Kill it where it still runs, and clear what it could not."""
        self.turn.unlink(missing_ok=True)
        kill(self.process)
        shutil.rmtree(self.temporary, ignore_errors=True)


def kill(process: subprocess.Popen) -> None:
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
        "peak_gb", "tflops", "share", "idle", "wait", "waited", "saved", "equal", "difference",
        "images_per_second", "most", "psnr",
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
    where = "results/gpu-check; with --quick results/gpu-check-quick"
    parser.add_argument("--output", type=Path, help=f"by default {where}")
    parser.add_argument("--packages", type=Path, help="what `make gpu-packages` made")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds of all steps")
    parser.add_argument("--quick", action="store_true", help="tiny, for a test: does it work?")
    parser.add_argument("--device", default="cpu", help="of --quick")
    parser.add_argument("--beside", type=int, default=1, metavar="N", help="so many steps at once")
    parser.add_argument("--patience", type=float, default=1.0, help="multiplies the steps' limits")
    args = parser.parse_args()
    if unknown := set(args.step) - set(names):
        parser.error(f"no step {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    args.output = args.output or ROOT / "results" / ("gpu-check" + "-quick" * args.quick)
    args.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        # where torch compiles DeepSpeed's CPU Adam: a killed step's build stops no other program
        environment = {"TORCH_EXTENSIONS_DIR": str((args.output / BUILT).resolve())} | os.environ
        if args.packages:
            environment["PYTHONPATH"] = unpacked(args.packages, Path(temporary))
        check(args, environment)


def check(args: argparse.Namespace, environment: dict[str, str]) -> None:
    """Run the steps and print their table."""
    from diffusion4k.files import write_text

    device, memory = gpu()
    record = {"benchmark": "gpu-check", "device": device, "quick": args.quick}
    kept = earlier(args.output / "gpu-check.json", record)
    began = time.monotonic()
    chosen = {n: step for n, step in steps(memory).items() if not args.step or n in args.step}
    following = dict(itertools.pairwise(chosen))
    waiting: dict[str, Running] = {}
    stop = threading.Event()

    def take(name: str, step: Step) -> dict:
        left = args.limit - (time.monotonic() - began)
        if left <= 0 or stop.is_set():
            date = time.strftime("%Y-%m-%d")
            return {"state": "not begun", "date": date, "seconds": 0, "results": [], "said": ""}
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
            known = kept | {n: s for n, s in found.items() if not stays(kept.get(n), s)}
            record["steps"] = {name: known[name] for name in steps(memory) if name in known}
            write_text(args.output / "gpu-check.json", json.dumps(record, indent=1) + "\n")
            write_text(args.output / "gpu-check.md", table(record) + "\n")
    print(table(record))
    sys.exit(0 if all(step["state"] == "done" for step in found.values()) else 1)


def stays(before: dict | None, now: dict) -> bool:
    """Whether a step's earlier result stays: it was done, and is now not begun or cut off."""
    ended = now["state"].startswith(("done", "exit"))
    return before is not None and before["state"] == "done" and not ended


def earlier(path: Path, record: dict) -> dict[str, dict]:
    """The steps of a run before this one, of the same device."""
    if not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return found["steps"] if {key: found.get(key) for key in record} == record else {}


if __name__ == "__main__":
    main()
