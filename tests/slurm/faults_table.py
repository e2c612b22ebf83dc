"""docs/faults.md from what the tests of faults saw: faults_table.py results/faults.json OUTPUT"""

import json
import sys
from pathlib import Path

HEAD = """# Faults, as the tests saw them

Made by `make faults` from the record of `make test-slurm`; do not edit. Each row is a test that
provokes the fault on a real SLURM (Debian's 22.05, a cluster of loopback nodes on one machine
with two cores, miniature SD3 on CPU, where a row says so the training of its VAE) and then
compares the results with those of an undisturbed run, byte for byte. The seconds are from the
fault until a later step was trained; in the first five rows and those of *snakemake terminated*,
from the fault, or the same command after it, until all was done. Most of it is the start of
Python and its libraries on a machine that did other things too. The two minutes that SLURM lets a
requeued job wait are counted, though the tests skip them; a cluster adds its queue. Steps lost
are those that were trained twice: 5 lay between two saves, 20 in the first five rows.

What to do is in every row the same: nothing, or the same command once more.

| fault | what the user sees | steps lost | seconds until it goes on |
|---|---|---:|---:|
"""


def table(rows: dict[str, dict]) -> str:
    lines = [
        f"| {fault} | {cell(row['saw'])} | {row['steps_lost']} | {seconds(row['seconds'])} |"
        for fault, row in rows.items()
    ]
    return HEAD + "\n".join(lines) + "\n"


def seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def cell(said: str) -> str:
    """A line of Snakemake's or the job's as a cell; nothing is said where nothing was."""
    if said == "nothing":
        return said
    text = said if len(said) <= 200 else said[:199] + "…"
    return "`" + text.replace("|", "\\|").replace("`", "'") + "`"


if __name__ == "__main__":
    record, output = map(Path, sys.argv[1:])
    output.write_text(table(json.loads(record.read_text(encoding="utf-8"))), encoding="utf-8")
