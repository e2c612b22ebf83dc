"""Say what a run takes before it starts: jobs, GPU hours, wall time, disk, licences.

  snakemake --cores 1 plan                                          of the paper
  snakemake --cores 1 --configfile config/miniature.yaml -- plan    of the miniature

Nothing is downloaded or made. Hours come from the FLOP model at the rate of `plan.tflops`, or at
the rates that benchmarks measured on `plan.device`; wall time is that of the longest chain of jobs
when every job finds its GPUs free.
"""

import argparse
import itertools
from pathlib import Path

import yaml

from diffusion4k import cli
from diffusion4k.config import resolve as configuration
from diffusion4k.dag import reuse
from diffusion4k.errors import UserError
from diffusion4k.estimate import budget, cost, plan

FIGURES = ("jobs", "PFLOP", "GPU time", "wall time", "GB")


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument(
        "--config", type=Path, required=True, help="the resolved one, results/<run>/config.yaml"
    )
    flags.add_argument(
        "--measured", type=Path, default=Path("benchmarks/results"), help="folder of benchmarks"
    )
    return flags


def run(args: argparse.Namespace) -> None:
    if not args.config.is_file():
        raise UserError(f"{args.config}: not there; `snakemake --cores 1 plan` writes it")
    config = yaml.safe_load(args.config.read_text(encoding="utf-8"))
    device = config["plan"].get("device")
    made = plan.Plan(config, plan.measured(args.measured, device))
    print(f"What the tables of run {config['run']} take\n")
    if "reuse" in config:
        print(f"In all, of which there are ready, {reuse.note(config)}\n")
    stages(made)
    tables(made)
    sources(made)
    if "budget" in config["plan"]:
        budgeted(made)
    print(
        f"Hours: {config['plan']['tflops']:g} TFLOP/s a GPU, sustained (plan.tflops)"
        + (f", but for what was measured on {device}.\n" if made.measured else ".\n")
        + "Wall time: the longest chain of jobs, each finding its GPUs free; transfers, loading and"
        " scoring not counted.\nGB: at the peak of the run, sources apart. –: not modelled."
    )


def stages(made: plan.Plan) -> None:
    """A line for each stage and model, one for all of a stage without hours, and their sum."""
    rows = []
    for stage, group in itertools.groupby(made.everything, key=lambda work: work.key[0]):
        works = list(group)
        rest = [work for work in works if not work.flops]
        for part in [*([work] for work in works if work.flops), *([rest] if rest else [])]:
            of = " ".join(part[0].key[1:]) if len(part) == 1 else f"{len(part)} sets"
            images = sum(work.images for work in part)
            rows.append([stage, of, f"{images:,}", *figures(made, part)])
    rows.append(["all", "", "", *figures(made, made.everything)])
    show(["stage", "of", "images", *FIGURES], rows)


def tables(made: plan.Plan) -> None:
    """A line for each table made by itself; what several share is in each."""
    rows = []
    for name, works in made.tables.items():
        trains = [work.key[1] for work in works if work.key[0] in ("train", "train_vae")]
        rows.append([name, *figures(made, works), ", ".join(trains) or "nothing"])
    show(["by itself", *FIGURES, "trains"], rows, left=(0, 6))


def budgeted(made: plan.Plan) -> None:
    """A line for each target, in the order of claims checked a GPU-hour, and what does not fit."""
    have, spent, rows, checked = made.config["plan"]["budget"], 0.0, [], 0
    for choice in budget.choose(made):
        fits = not choice.reason
        spent += choice.hours if fits else 0
        checked += len(choice.claims) if fits else 0
        sums = [duration(spent), f"{checked}"] if fits else ["", ""]
        added = [duration(choice.hours), f"{len(choice.claims)}", *sums]
        rows.append([choice.target, *added, choice.reason or "fits"])
    print(
        f"With {have['gpus']} GPU of {have['memory_gb']:g} GB for {have['hours']:g} hours,"
        f" best first; claims: {checked} of {len(made.config['claims'])}\n"
    )
    show(["target", "adds", "claims", "in all", "claims", ""], rows, left=(0, 5))


def figures(made: plan.Plan, works: list[cost.Cost]) -> list[str]:
    """The columns FIGURES of some works together."""
    return [
        f"{sum(work.jobs for work in works):,}",
        number(sum(work.flops for work in works) / 1e15),
        duration(made.gpu_hours(works)),
        duration(made.wall_hours(works)),
        number(sum(work.gb for work in works)),
    ]


def sources(made: plan.Plan) -> None:
    """A line for each source that the tables read: size where known, licence."""
    rows = []
    for name in made.sources(made.everything):
        gb = made.source_gb(name)
        entry = made.config["sources"][name]
        where = str(entry[configuration.origin(entry)])
        gated = "gated: licence and HF_TOKEN" if entry.get("gated") else ""
        rows.append([name, where, "?" if gb is None else number(gb), gated])
    show(["source", "from", "GB", ""], rows, left=(0, 1, 3))


def number(value: float) -> str:
    """Three digits; – for nothing."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value else "–"


def duration(hours: float) -> str:
    """Hours, or minutes below one; – for nothing."""
    if hours and hours < 1:
        return f"{number(hours * 60)} min"
    return f"{number(hours)} h" if hours else "–"


def show(head: list[str], rows: list[list[str]], left: tuple[int, ...] = (0, 1)) -> None:
    """Columns of even width; numbers to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths], *rows]:
        cells = [
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    print()


if __name__ == "__main__":
    cli.main(run, parser())
