"""Fine-tune a transformer on latents: one segment of a training, resumable at any moment.

One process: `python scripts/train.py …`; several: `torchrun --standalone --nproc_per_node=8
scripts/train.py --processes 8 …`, or `accelerate launch`. Run the same command again to go on after
a kill. Exit status 75: saved at a signal (SIGTERM, SIGINT, SIGHUP, SIGUSR1) or --time-limit before
the end.
"""

import argparse
import os
import sys
from pathlib import Path

from diffusion4k import cli
from diffusion4k.train import settings


def parser() -> argparse.ArgumentParser:
    """The recipe's flags (diffusion4k/train/settings.py), then those of the job."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    settings.add_arguments(made.add_argument_group("recipe"))
    job = made.add_argument_group("job")
    job.add_argument("--pipeline", type=Path, required=True, help="manifest of the base pipeline")
    job.add_argument("--latents", type=Path, nargs="+", required=True, help="shard manifests")
    job.add_argument("--dataset", type=Path, help="manifest; the images of online latents")
    job.add_argument("--folder", default="train", help="folder inside the data set")
    job.add_argument("--start", type=Path, help="manifest of the step to go on from")
    job.add_argument("--stop-step", type=int, required=True, help="train until this step")
    job.add_argument("--processes", type=int, default=1, help="as launched; a check")
    job.add_argument("--save-every", type=int, default=500, help="steps that a kill loses at most")
    job.add_argument("--save-dtype", choices=("float32", "bfloat16"),
                     help="of the exported weights; default: --precision")  # fmt: skip
    job.add_argument("--time-limit", type=float, metavar="MINUTES", help="then save and exit 75")
    job.add_argument("--cache", type=float, default=1.0, metavar="GB",
                     help="latents up to this size are kept in memory")  # fmt: skip
    job.add_argument("--workers", type=int, default=min(4, cli.threads()),
                     help="loading processes, for larger latents or images")  # fmt: skip
    job.add_argument("--attempt", type=int, default=1, help="Snakemake's; 1 forgets past failures")
    job.add_argument("--progress-folder", type=Path, required=True, help="checkpoints, TensorBoard")
    job.add_argument("--output", type=Path, required=True, help="manifest, step-<step>.json")
    return made


def run(args: argparse.Namespace) -> None:
    """Train the segment that the flags describe."""
    recipe = settings.from_arguments(args)
    recipe.accumulation(args.processes)  # refuse before the slow imports
    from diffusion4k import backbones
    from diffusion4k.train import trainer
    from diffusion4k.train.finetune import FineTuning
    from diffusion4k.train.job import Job

    job = Job(
        pipeline=args.pipeline,
        latents=tuple(args.latents),
        dataset=args.dataset,
        folder=args.folder,
        start=args.start,
        stop_step=args.stop_step,
        processes=args.processes,
        progress_folder=args.progress_folder,
        output=args.output,
        attempt=args.attempt,
        save_every=args.save_every,
        save_dtype=args.save_dtype,
        time_limit=args.time_limit and args.time_limit * 60,
        cache=args.cache * 1e9,
        workers=args.workers,
    )
    try:
        trainer.train(FineTuning(recipe, backbones.get(args.backbone)), job)
    except trainer.Interrupted as stop:
        if os.environ.get("RANK", "0") == "0":
            print(stop, file=sys.stderr)
        sys.exit(75)


if __name__ == "__main__":
    cli.main(run, parser())
