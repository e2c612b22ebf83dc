"""Make one of the miniature's sources, offline, in the layout of the real one, with its manifest.

Everything but the photographs is small or random: its numbers prove the plumbing, not the paper.
"""

import argparse
import time
import zlib
from functools import partial
from pathlib import Path

from diffusion4k import cli, limits, manifest
from diffusion4k.sources.miniature import notes
from diffusion4k.sources.miniature.architectures import MINIATURE

NETWORKS = ("clip", "clip_large", "aesthetics_head", "inception", "inception_clean", "vgg16")
SIDE = limits.number(int, ge=64, multiple_of=32)
WHATS = ("aesthetic_4k", "photographs", *MINIATURE, *NETWORKS)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--what", required=True, choices=WHATS)
    parser.add_argument("--seed", type=limits.seed, default=0, help="decides every byte")
    parser.add_argument("--size", type=SIDE, default=256, help="px that stand for 4096")
    parser.add_argument("--small-size", type=SIDE, default=128, help="px that stand for 2048")
    parser.add_argument(
        "--vae-steps", type=limits.count, default=250, help="of the VAE's pretraining"
    )
    parser.add_argument(
        "--vae-size", type=limits.number(int, ge=64), help="px, of its photographs; half of --size"
    )
    parser.add_argument(
        "--growth", type=limits.count, default=1, help="of a transformer's width and depth"
    )
    parser.add_argument(
        "--narrower",
        type=int,
        choices=(1, 2, 4, 8, 16),
        default=1,
        help="how often narrower VGG-16 is",
    )
    parser.add_argument("--folder", type=Path, required=True, help="for what is made")
    parser.add_argument("--output", type=Path, required=True, help="the manifest to write")
    return parser


def run(args: argparse.Namespace) -> None:
    started = time.time()
    if args.what in ("aesthetic_4k", "photographs"):
        from diffusion4k.sources.miniature import dataset

    if args.what == "aesthetic_4k":
        note = notes.DATASET.format("Aesthetic-4K")
        sizes = {"size": args.size, "small_size": args.small_size}
        files, results = dataset.make(args.folder, seed=args.seed, **sizes)
    elif args.what == "photographs":
        note = notes.PHOTOGRAPHS.format("photographs")
        files, results = dataset.make_photographs(args.folder, size=args.size, seed=args.seed)
    elif args.what in NETWORKS:
        note = notes.NETWORK.format(args.what)
        files, results = make_network(args), {}
    else:
        import torch

        from diffusion4k.sources.miniature import pipelines

        # on one thread whatever is granted: the number of threads would change the bytes
        torch.set_num_threads(1)
        note = notes.PIPELINE.format(args.what)
        seed = own_seed(args.what, args.seed)
        sizes = {"size": args.size, "vae_size": args.vae_size or args.size // 2}
        sizes |= {"vae_steps": args.vae_steps, "growth": args.growth}
        results = pipelines.make(args.what, args.folder, seed=seed, **sizes)
        files = sorted(path for path in args.folder.rglob("*") if path.is_file())
    manifest.write(
        args.output,
        root=args.folder,
        files=files,
        inputs={},
        settings={key: value for key, value in vars(args).items() if key != "output"},
        results=results,
        started=started,
        notes=[note],
    )


def make_network(args: argparse.Namespace) -> list[Path]:
    """Write one of the metrics' networks; returns its files."""
    import torch

    from diffusion4k.sources.miniature import metric_networks as networks

    torch.set_num_threads(1)
    what, folder = args.what, args.folder
    torch.manual_seed(own_seed(what, args.seed))
    if what == "clip":
        return networks.make_clip(folder, embed_dim=512, patch_size=16)
    if what == "clip_large":
        return networks.make_clip(folder, embed_dim=768, patch_size=14)
    makers = {
        "aesthetics_head": networks.make_aesthetics_head,
        "inception": networks.make_inception,
        "inception_clean": networks.make_inception_clean,
        "vgg16": partial(networks.make_vgg16, narrower=args.narrower),
    }
    return makers[what](folder)


def own_seed(what: str, seed: int) -> int:
    """A seed for each source, so that two pipelines are not the same network twice."""
    return zlib.crc32(f"{seed}/{what}".encode())


if __name__ == "__main__":
    cli.main(run, parser())
