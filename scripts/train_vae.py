"""Train the decoder of an F16 VAE: one segment of a training, resumable at any moment.

The scale-consistent VAE of the journal extension (docs/sc-vae.md). One process:
`python scripts/train_vae.py …`; several: `torchrun --standalone --nproc_per_node=4
scripts/train_vae.py --processes 4 …`. Run the same command again to go on after a kill. Exit status
75: saved at a signal (SIGTERM, SIGINT, SIGHUP, SIGUSR1) or --time-limit before the end.
"""

import argparse
from pathlib import Path

from diffusion4k import cli
from diffusion4k.train import autoencoder_settings, settings
from diffusion4k.train.autoencoder_settings import AutoencoderSettings
from diffusion4k.train.job import add_arguments, from_arguments


def parser() -> argparse.ArgumentParser:
    """The recipe's flags (diffusion4k/train/autoencoder_settings.py), then those of the job."""
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    settings.add_arguments(
        flags.add_argument_group("recipe"), AutoencoderSettings, autoencoder_settings.CHOICES
    )
    job = flags.add_argument_group("job")
    job.add_argument("--pipeline", type=Path, required=True, help="manifest of the pipeline or VAE")
    job.add_argument("--dataset", type=Path, required=True, help="manifest of the data set")
    job.add_argument("--images", type=Path, required=True, help="manifest of list_images.py")
    job.add_argument("--vgg16", type=Path, required=True, help="manifest of LPIPS's network")
    add_arguments(job)
    return flags


def run(args: argparse.Namespace) -> None:
    """Train the segment that the flags describe."""
    recipe = settings.from_arguments(args, AutoencoderSettings)
    recipe.accumulation(args.processes)  # refuse before the slow imports
    from diffusion4k.train import autoencoder

    autoencoder.run(recipe, from_arguments(args))


if __name__ == "__main__":
    cli.main(run, parser())
