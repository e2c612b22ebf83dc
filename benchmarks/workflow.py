"""What the workflow itself costs: building the DAG, finding nothing to do, memory of Snakemake.

    python benchmarks/workflow.py [--quick]

In a copy of the workflow. The DAG of `tables` at the paper's scale; with 100 times the prompts, in
the paper's shards, in 10 and in 100 times as many; and `all` of the miniature and of the paper when
all of it is made (manifests are empty, params recorded), which must find nothing to do. Fails when
that takes more than 5 s of CPU.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
import yaml

# offline, a gated source asks for no token
os.environ["HF_HUB_OFFLINE"] = "1"
LIMIT = 5.0  # seconds of CPU in which nothing is found to do
PARTS = ("Snakefile", "rules", "scripts", "config", "profiles", "envs", "report", "benchmarks")


def copy_workflow(folder: Path) -> None:
    for part in PARTS:
        source = harness.ROOT / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / part)


def prompts(times: int, shards: int) -> dict:
    """A configuration with so many times the paper's prompts and shards."""
    text = (harness.ROOT / "config/config.yaml").read_text(encoding="utf-8")
    splits, evaluations = (yaml.safe_load(text)[key] for key in ("splits", "evaluations"))
    return {
        "splits": {name: {"count": splits[name]["count"] * times} for name in evaluations},
        "evaluations": {n: {"shards": e["shards"] * shards} for n, e in evaluations.items()},
    }


def snakemake(folder: Path, *arguments: str) -> harness.Row:
    """{"seconds", "peak_gb", "jobs"} of one call; peak_gb is Snakemake's own resident memory."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    output = folder / "output.txt"
    began = time.perf_counter()
    with output.open("wb") as screen:
        process = subprocess.Popen(command, cwd=folder, stdout=screen, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text(encoding="utf-8")
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{text[-3000:]}")
    total = next((line.split()[1] for line in text.splitlines() if line.startswith("total ")), 0)
    return {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_gb": usage.ru_maxrss * 1024 / 1e9,
        "jobs": int(total),
    }


def median(rows: list[harness.Row]) -> harness.Row:
    """The row of the median time."""
    return sorted(rows, key=lambda row: row["seconds"])[len(rows) // 2]


def make_everything(folder: Path, target: str, config: list[str]) -> None:
    """Every output as an empty file, and params recorded, as if all had run."""
    summary = subprocess.run(
        [sys.executable, "-m", "snakemake", target, "--summary", *config],
        cwd=folder, capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    for line in summary.stdout.splitlines():
        name = line.split("\t")[0]
        if name.startswith("results/"):
            path = folder / name
            (path if not path.suffix else path.parent).mkdir(parents=True, exist_ok=True)
            (path if path.suffix else path / "state").write_text("{}", encoding="utf-8")
    snakemake(folder, target, "--touch", "--forceall", *config)


def idle(folder: Path, args, config: list[str]) -> harness.Row:
    """The row of a run that is all there; SystemExit when that takes long, or a job would run."""
    target = "table_9" if args.quick else "all"
    make_everything(folder, target, config)
    row = median([snakemake(folder, target, *config) for _ in range(args.repeats)])
    if row["jobs"]:
        raise SystemExit("jobs where nothing is to be done")
    if row["cpu_seconds"] > LIMIT and not args.quick:
        raise SystemExit(f"{row['cpu_seconds']:.1f} s of CPU to find nothing to do, over {LIMIT}")
    return row


def main() -> None:
    args = harness.parser(__doc__).parse_args()
    target = "table_9" if args.quick else "tables"
    # (name, times the prompts, times the shards)
    cases = [("paper", 1, 1), ("100 x prompts", 100, 1), ("100 x prompts, 10 x shards", 100, 10)]
    cases += [("100 x prompts, 100 x shards", 100, 100)]
    if args.quick:
        cases = [("2 x prompts", 2, 1)]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_workflow(folder)
        for case, times, shards in cases:
            path = folder / "config" / "synthetic.yaml"
            path.write_text(yaml.safe_dump(prompts(times, shards)), encoding="utf-8")
            config = ["--configfile", "config/synthetic.yaml"]
            repeats = 1 if args.quick or shards > 1 else args.repeats
            found = [snakemake(folder, "-n", target, *config) for _ in range(repeats)]
            rows.append({"case": f"dry run, {case}", "side": "ours"} | median(found))
        for case in ("miniature",) if args.quick else ("miniature", "paper"):
            config = ["--configfile", "config/miniature.yaml"] if case == "miniature" else []
            rows.append(
                {"case": f"nothing to do, {case}", "side": "ours"} | idle(folder, args, config)
            )
    device = f"{harness.cpu_name()}, {os.cpu_count()} cores"
    harness.report("workflow", args, device, rows, load=os.getloadavg()[0])


if __name__ == "__main__":
    main()
