"""Say what a run takes before it starts: jobs, GPU hours, wall time, disk, questions, licences.

  snakemake --cores 1 plan                                          of the paper
  snakemake --cores 1 --configfile config/miniature.yaml -- plan    of the miniature

Nothing is downloaded or made. Hours come from the FLOP model at the rate of `plan.tflops`, or at
the rates that benchmarks measured on `plan.device`; wall time is that of the longest chain of jobs
when every job finds its GPUs free.
"""

import argparse
from pathlib import Path

from diffusion4k import cli
from diffusion4k.config import resolve
from diffusion4k.dag import reuse
from diffusion4k.estimate import plan, words


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
    config = resolve.saved(args.config)
    device = config["plan"].get("device")
    estimate = plan.Plan(config, plan.measured(args.measured, device))
    print(f"What the tables and figures of run {config['run']} take\n")
    if "reuse" in config:
        print(f"In all, of which there are ready, {reuse.note(config)}\n")
    print("\n".join(words.every(estimate)))
    print(
        f"Hours: {words.rates(config)}, sustained (plan), on {device or 'a GPU'}"
        + (", but for what was measured on it.\n" if estimate.measured else ".\n")
        + "Wall time: the longest chain of jobs, each finding its GPUs free; transfers, loading and"
        " scoring not counted.\nGB: at the peak of the run, sources apart. –: not modelled."
    )


if __name__ == "__main__":
    cli.main(run, parser())
