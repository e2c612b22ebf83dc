"""What the workflow adds to a SLURM job: a chain of jobs by Snakemake, against sbatch by hand.

    python benchmarks/slurm.py             on a cluster of its own (Debian's slurm-wlm and munge)
    python benchmarks/slurm.py --site DIR  on the cluster of this login node; DIR is shared

Every job does nothing but write the time, and needs the one before it, so that the time between
two of them is all overhead: `seconds` is its median. By hand, the jobs are submitted at once with
--dependency=afterok: the scheduler's own latency. By Snakemake they go through the workflow's own
Snakefile and `--profile slurm`; `in_job` is what the start and end of the job itself take (SLURM
counts whole seconds), the rest passes until the end is noticed and the next job is submitted.
"""

import contextlib
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import harness
from workflow import copy_workflow

CHAIN = """
include: "Snakefile"


rule link:
    input:
        lambda w: [f"chain/{int(w.number) - 1}"] if int(w.number) else [],
    output:
        "chain/{number}",
    resources:
        mem_mb=500,
        runtime=5,
    shell:
        "date +%s.%N > {output}"
"""


@contextlib.contextmanager
def own_cluster() -> Iterator[dict[str, str]]:
    """The environment in which SLURM's commands speak to the cluster of the tests."""
    sys.path.append(str(harness.ROOT / "tests" / "slurm"))
    from cluster import cluster, missing

    if lacking := missing():
        raise SystemExit(f"no {', '.join(lacking)}: apt-get install slurm-wlm munge, or --site")
    with cluster() as made:
        yield made.environment


class Site:
    """A cluster's commands, called in one folder."""

    def __init__(self, folder: Path, environment: dict[str, str]):
        self.folder, self.environment = folder, environment

    def call(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, encoding="utf-8"
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
        return done.stdout

    def seconds_in_job(self) -> float:
        """Median from start to end of the folder's jobs."""
        shown = self.call(
            "squeue", "--me", "-h", "-t", "all", "-O", "StartTime:30,EndTime:30,WorkDir:300"
        )
        jobs = [line.split() for line in shown.splitlines()]
        return statistics.median(
            when(end) - when(start) for start, end, where in jobs if where == str(self.folder)
        )


def when(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


def by_hand(site: Site, count: int) -> None:
    """`count` jobs, each after the one before; returns when the last has ended."""
    (site.folder / "chain").mkdir()
    last = ""
    for number in range(count):
        flags = ["--parsable", "--mem=500", "--time=5", "-o", "chain/log"]
        flags += [f"--dependency=afterok:{last}", "--kill-on-invalid-dep=yes"] if last else []
        flags += ["--wait"] if number == count - 1 else []
        done = site.call("sbatch", *flags, "--wrap", f"date +%s.%N > chain/{number}")
        last = done.strip().split(";")[0]


def by_snakemake(site: Site, count: int) -> None:
    copy_workflow(site.folder)
    (site.folder / "chain.smk").write_text(CHAIN, encoding="utf-8")
    start = (sys.executable, "-m", "snakemake", "-s", "chain.smk", "--profile", "profiles/slurm")
    site.call(*start, f"chain/{count - 1}")


def measure(way: Callable, root: Path, count: int, environment: dict[str, str]) -> harness.Row:
    site = Site(root / way.__name__, environment)
    site.folder.mkdir()
    way(site, count)
    times = [float((site.folder / "chain" / str(n)).read_text("utf-8")) for n in range(count)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    return {"seconds": statistics.median(gaps), "in_job": site.seconds_in_job()}


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--site", type=Path, help="use the cluster that is here, in this folder")
    parser.add_argument("--jobs", type=int, default=8, help="in the chain")
    args = parser.parse_args()
    count = 2 if args.quick else args.jobs
    here = contextlib.nullcontext(dict(os.environ)) if args.site else own_cluster()
    ways = {"ours": by_snakemake, "reference": by_hand}
    with here as environment, tempfile.TemporaryDirectory(dir=args.site) as name:
        root = Path(name).resolve()
        rows = [
            {"case": f"chain of {count} jobs", "side": side}
            | measure(way, root, count, environment)
            for side, way in ways.items()
        ]
        version = Site(root, environment).call("sinfo", "--version").strip()
    rows[0]["added"] = rows[0]["seconds"] - rows[1]["seconds"]
    device = "site" if args.site else f"test cluster, {harness.cpu_name()}, {os.cpu_count()} cores"
    harness.report("slurm", args, device, rows, slurm=version, load=os.getloadavg()[0])


if __name__ == "__main__":
    main()
