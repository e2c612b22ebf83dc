"""Examine a SLURM cluster before the first job: one line a check, with what to change.

    snakemake --profile slurm doctor        (or: make doctor)

Sends one small job to a CPU node and one to a GPU node. Exit status 1 when something needs mending.
"""

import argparse
from pathlib import Path

from diffusion4k import cli, limits
from diffusion4k.errors import UserError


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--config", type=Path, help="a run's config.yaml, results/<run>/config.yaml"
    )
    parser.add_argument(
        "--patience", type=limits.not_negative, default=300, help="seconds for the jobs to run"
    )
    parser.add_argument("--conda", action="store_true", help="jobs run in environments of conda")
    inside = parser.add_argument_group("inside the job that it sends")
    inside.add_argument("--probe", type=Path, help="a file written on the login node")
    inside.add_argument("--look", nargs="*", default=[], help="environment, gpu, compiler")
    inside.add_argument("--output", type=Path, help="what was seen")
    return parser


def run(args: argparse.Namespace) -> None:
    from diffusion4k.cluster import doctor, probe
    from diffusion4k.config import resolve
    from diffusion4k.run.preflight import use_own_interpreter

    if args.probe:
        probe.on_node(args.probe, args.output, args.look)
        return
    use_own_interpreter()
    config = resolve.saved(args.config)
    faults = []
    for finding in doctor.examine(config, Path.cwd()):
        print(finding, flush=True)
        faults += [] if finding.ok else [finding.what]
    if not doctor.NO_JOBS & set(faults):
        for finding in probe.examine(config, Path.cwd(), args.patience, args.conda):
            print(finding, flush=True)
            faults += [] if finding.ok else [finding.what]
    if faults:
        raise UserError(f"{len(faults)} to mend, see the lines that begin with FIX")


if __name__ == "__main__":
    cli.main(run, parser())
