"""The paper in miniature: runs Snakemake and says how far each stage is, in a line of its own."""

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from diffusion4k import cli, streams

MINIATURE = Path("config/miniature.yaml")
INTRODUCTION = """\
The paper in miniature, on this machine's CPU and without a network. Snakemake makes photographs
and small networks (sources), encodes the photographs (latents), fine-tunes SD3 and Flux on them
(train), draws pictures from their captions (generate), scores these (metrics), and sets what came
of it beside the paper's numbers. It takes about five minutes on two cores.
"""
RULE = r"^ *(?:use )?rule (?:\w+ as )?(\w+)\b.*:$"
GOING_ON = "Ctrl-C stops it; the same command goes on. What Snakemake says is in {log}.\n"


def stages() -> dict[str, str]:
    """Rule => its stage, in the order data flows: the name of its file in rules/."""
    included = re.findall(r'^include: "(.*)"$', Path("Snakefile").read_text(encoding="utf-8"), re.M)
    return {
        rule: Path(file).stem
        for file in included
        for rule in re.findall(RULE, Path(file).read_text(encoding="utf-8"), re.M)
    }


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--config", type=Path, help="a file whose base is the miniature")
    flags.add_argument("--profile", default="profiles/miniature", help="Snakemake's; its cores")
    return flags


def run(args: argparse.Namespace) -> None:
    own = ["--configfile", str(args.config)] if args.config else []
    log = Path("results", name_of(args.config or MINIATURE), "logs", "snakemake.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    print(header_of(args.config) if args.config else INTRODUCTION, end="")
    print(GOING_ON.format(log=log), flush=True)
    command = [sys.executable, "-m", "snakemake", "--profile", args.profile, *own, "--", "all"]
    with (
        log.open("w", encoding="utf-8") as copy,
        warm_python() as folder,
        subprocess.Popen(
            command,
            env=streams.piped() | {"DIFFUSION4K_PYTHON": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        ) as p,
    ):
        progress = StageLines()
        try:
            for line in p.stdout:
                copy.write(line)
                copy.flush()
                progress.read(line)
        except KeyboardInterrupt:  # Snakemake has got it too, and ends its jobs
            print("\nstopping", flush=True)
            p.stdout.read()
    if p.returncode:
        print("".join(failure(log.read_text(encoding="utf-8").splitlines(keepends=True))))
        sys.exit(f"error: Snakemake ended with status {p.returncode}; all that it said: {log}")


def name_of(config: Path) -> str:
    """The run that a configuration file names, a folder of results."""
    return yaml.safe_load(config.read_text(encoding="utf-8"))["run"]


def header_of(config: Path) -> str:
    """The comment that a configuration file opens with: what it is, its command, what it needs."""
    comment = re.match(r"(?:#.*\n)*", config.read_text(encoding="utf-8"))[0]
    return re.sub(r"^# ?(yaml-language-server.*\n)?", "", comment, flags=re.MULTILINE)


@contextlib.contextmanager
def warm_python() -> Iterator[str]:
    """A folder whose `python` starts scripts with their libraries imported (scripts/warm.py).

    One thread: the jobs of the miniature have one, and a process with several cannot be forked,
    nor one that has opened a GPU.
    """
    with tempfile.TemporaryDirectory() as folder:
        extra = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        extra["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # or a library that looks for a GPU opens it
        command = [sys.executable, "-W", "ignore", "scripts/warm.py", folder]
        # in a group of its own: of a terminal's Ctrl-C a script hears once, by its client
        server = subprocess.Popen(command, env=os.environ | extra, process_group=0)
        try:
            while not Path(folder, "python").exists() and server.poll() is None:
                time.sleep(0.01)
            yield folder
        finally:
            server.terminate()
            server.wait()


class StageLines:
    """A line a stage, from what Snakemake says: on a terminal as it goes, else when it is whole."""

    def __init__(self):
        self.began = time.monotonic()
        self.stages = stages()
        self.left: dict[str, int] = {}
        self.jobs: dict[str, int] = {}

    def read(self, line: str) -> None:
        """A line of Snakemake's: of the table of jobs, or of a job's end."""
        if counted := re.fullmatch(r"(\w+) +(\d+)\n", line):
            if stage := self.stages.get(counted[1]):
                self.jobs[stage] = self.jobs.get(stage, 0) + int(counted[2])
                self.left = dict(self.jobs)
        elif (ended := re.match(r"Finished jobid: \d+ \(Rule: (\w+)\)", line)) and (
            stage := self.stages.get(ended[1])
        ):
            self.left[stage] -= 1
            self.show(stage)

    def show(self, stage: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        jobs = self.jobs[stage]
        state = f"{minutes:2}:{seconds:02}  {stage:9}{jobs - self.left[stage]:3} of {jobs} jobs"
        if not self.left[stage]:
            print(f"\r{state}", flush=True)
        elif sys.stdout.isatty():
            print(f"\r{state} …", end="", flush=True)


def failure(lines: list[str]) -> list[str]:
    """From the first error on; the failed job's log is in it."""
    errors = (i for i, line in enumerate(lines) if re.match(r"\w*(Error|Exception)\b", line))
    return lines[next(errors, 0) :]


if __name__ == "__main__":
    cli.main(run, parser())
