"""Table 2: photographs through a VAE and back, scored pair by pair, with Inception features.

A photograph is prepared as for training (EXIF transpose, shorter side resized to --size, centre
crop), encoded to the posterior's mean, decoded, and rounded to 8 bits.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from diffusion4k import cli, limits, manifest
from diffusion4k.background import one_behind
from diffusion4k.data import captions, shards
from diffusion4k.vae import DECODERS, ENCODERS


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--vae", type=Path, required=True, help="manifest of it or its pipeline")
    flags.add_argument("--dataset", type=Path, required=True, help="manifest of the data set")
    flags.add_argument("--folder", default="train", help="folder inside it")
    flags.add_argument("--size", type=limits.side, default=4096, help="px")
    flags.add_argument("--factor", type=int, choices=(8, 16), default=16, help="px a latent")
    flags.add_argument("--encoder", choices=ENCODERS, default="stride")
    flags.add_argument("--decoder", choices=DECODERS, default="folded")
    flags.add_argument("--inception", type=Path, required=True, help="manifest of the weights")
    flags.add_argument("--vgg16", type=Path, required=True, help="manifest of the weights")
    flags.add_argument(
        "--vae-tiling",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="encode and decode in blended tiles: little memory, slightly other values",
    )
    flags.add_argument(
        "--tf32", action=argparse.BooleanOptionalAction, default=False,
        help="on a GPU, the VAE's convolutions in TensorFloat-32; the metrics' networks never"
    )  # fmt: skip
    flags.add_argument(
        "--crop", type=limits.count, default=299, help="px, of the crops for patch rFID"
    )
    flags.add_argument("--crops", type=limits.natural, default=1, help="of them along each side")
    flags.add_argument("--limit", type=limits.count, help="images at even distances instead of all")
    flags.add_argument("--shard", type=limits.natural, default=0)
    flags.add_argument("--shards", type=limits.count, default=1)
    flags.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    flags.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import numpy as np
    import torch

    from diffusion4k.device import choose_exact
    from diffusion4k.metrics import inputs, pairs, reconstruction, scores
    from diffusion4k.vae.reconstruct import rebuild

    started = time.time()
    torch.set_num_threads(cli.threads())
    device = choose_exact(args.device)
    paths = {n: getattr(args, n) for n in ("vae", "dataset", "inception", "vgg16")}
    sources = {name: manifest.read(path) for name, path in paths.items()}
    everything = shards.spread(captions.of(sources["dataset"], args.folder), args.limit)
    samples = shards.shard(everything, args.shard, args.shards)
    saves = scores.SavedScores(args.output, scores.Reconstruction, key(args, paths))
    done = {sample.id: saved for sample in samples if (saved := saves.get(sample.id))}

    missing = [sample for sample in samples if sample.id not in done]

    def pairs_of() -> Iterator[Callable[[], None]]:
        """What is left to do of each pair on the CPU, once the device is done with it."""
        vae, score = load(args, sources, device)
        prepared = (partial(photograph, sample, args.size) for sample in missing)
        for sample, image in zip(missing, one_behind(prepared), strict=True):
            real = np.asarray(image)
            rebuilt = rebuild(vae, image, sample.id, tf32=args.tf32)
            yield partial(finish, sample.id, real, rebuilt, *score.networks(real, rebuilt))

    def finish(id: str, real, rebuilt, lpips: float, features: dict) -> None:
        done[id] = pairs.row(id, real, rebuilt, lpips), features
        saves.put(done[id][0], **features)

    def photograph(sample, size: int):
        return inputs.photograph(sample.sound(), size, upright=True)

    waiting = one_behind(pairs_of() if missing else ())
    for _ in cli.progress(waiting, total=len(missing), desc="reconstruct", unit="image"):
        pass

    tiles = ["reconstructed in tiles: not quite the values of the whole"]
    saves.finish(
        [done[sample.id] for sample in samples],
        pairs.ARRAYS,
        inputs=paths,
        settings=vars(args) | {"ssim_window": reconstruction.SSIM_WINDOW},
        started=started,
        device=str(device),
        notes=inputs.notes(*sources.values()) + (tiles if args.vae_tiling else []),
    )


def key(args: argparse.Namespace, paths: dict[str, Path]) -> str:
    """What decides an image's row."""
    from diffusion4k.metrics import scores

    deciding = ("folder", "size", "factor", "encoder", "decoder", "dtype", "crop", "crops")
    deciding += ("vae_tiling", "tf32")
    return scores.key(paths.values(), **{name: getattr(args, name) for name in deciding})


def load(args: argparse.Namespace, sources: dict[str, manifest.Manifest], device) -> tuple:
    """The VAE, and what scores a pair."""
    import torch

    from diffusion4k.metrics import inputs, pairs
    from diffusion4k.vae import reconstruct

    source = sources["vae"]
    source.sound(source.within("vae") or None)
    vae = reconstruct.load(
        source.root,
        factor=args.factor,
        encoder=args.encoder,
        decoder=args.decoder,
        dtype=getattr(torch, args.dtype),
        device=device,
        tiling=args.vae_tiling,
    )
    networks = (inputs.weights(sources[name]) for name in ("inception", "vgg16"))
    return vae, pairs.PairScorer(*networks, device, crop=args.crop, crops=args.crops)


if __name__ == "__main__":
    cli.main(run, parser())
