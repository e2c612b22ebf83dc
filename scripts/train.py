"""Fine-tune a transformer on latents: one segment of a training, resumable at any moment.

One process: `python scripts/train.py …`; several: `torchrun --standalone --nproc_per_node=8
scripts/train.py --processes 8 …`, or `accelerate launch`. Run the same command again to go on after
a kill. Exit status 75: saved at a signal (SIGTERM, SIGINT, SIGHUP, SIGUSR1) or --time-limit before
the end.
"""

import argparse
import dataclasses
from pathlib import Path

from diffusion4k import cli, limits
from diffusion4k.train import settings
from diffusion4k.train.job import add_arguments, from_arguments


def parser() -> argparse.ArgumentParser:
    """The recipe's flags (diffusion4k/train/settings.py), then those of the job."""
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    settings.add_arguments(flags.add_argument_group("recipe"))
    job = flags.add_argument_group("job")
    job.add_argument("--pipeline", type=Path, required=True, help="manifest of the base pipeline")
    job.add_argument("--latents", type=Path, nargs="+", required=True, help="shard manifests")
    job.add_argument("--dataset", type=Path, help="manifest; the images of online latents")
    job.add_argument("--folder", default="train", help="folder inside the data set")
    job.add_argument("--save-dtype", choices=("float32", "bfloat16"),
                     help="of the exported weights; default: --precision")  # fmt: skip
    job.add_argument("--cache", type=limits.not_negative, default=1.0, metavar="GB",
                     help="latents up to this size are kept in memory")  # fmt: skip
    add_arguments(job)
    return flags


def run(args: argparse.Namespace) -> None:
    """Train the segment that the flags describe."""
    recipe = settings.from_arguments(args)
    recipe.accumulation(args.processes)  # refuse before the slow imports
    from diffusion4k.train import finetune

    job = from_arguments(args)
    job = dataclasses.replace(job, latents=tuple(args.latents), cache=args.cache * 1e9)
    finetune.run(recipe, job)


if __name__ == "__main__":
    cli.main(run, parser())
