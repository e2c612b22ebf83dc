"""Encode one shard of a split's images and captions with a backbone's F16 VAE and text encoders.

Samples lie in samples/ beside the manifest. A run that was stopped goes on where it stopped: run
the same command again.
"""

import argparse
import time
from dataclasses import fields
from pathlib import Path

from diffusion4k import backbones, cli, limits, manifest, shape
from diffusion4k.latents import DTYPES
from diffusion4k.pipelines.folder import PipelineFolder
from diffusion4k.vae import ENCODERS


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    flags.add_argument("--backbone", required=True, help=" or ".join(backbones.NAMES))
    flags.add_argument("--pipeline", type=Path, required=True, help="manifest of its pipeline")
    flags.add_argument("--vae", type=Path, help="manifest of a VAE in place of the pipeline's")
    flags.add_argument("--dataset", type=Path, required=True, help="manifest of the data set")
    flags.add_argument("--folder", default="train", help="folder inside the data set")
    flags.add_argument("--mode", choices=["precomputed", "online"], default="precomputed",
                       help="online: text only, training encodes the images itself")  # fmt: skip
    flags.add_argument("--size", type=shape.parse, default=4096, help="px or HxW, of a crop")
    flags.add_argument("--crops-per-image", type=limits.count, default=1, help="not used online")
    flags.add_argument(
        "--batch", type=limits.count, default=2, help="pictures of a sample a VAE pass"
    )
    flags.add_argument(
        "--workers", type=limits.count, default=cli.threads(), help="decoding threads"
    )
    flags.add_argument("--flip", choices=["both", "none"], default="both", help="mirrored too?")
    flags.add_argument("--t5-tokens", type=limits.tokens, default=77, help="1 to 512")
    flags.add_argument("--encoder", choices=ENCODERS, default="stride")
    flags.add_argument("--dtype", choices=DTYPES, default="bfloat16")
    flags.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    flags.add_argument("--seed", type=limits.seed, default=0, help="of the crops' positions")
    flags.add_argument("--shard", type=limits.natural, default=0)
    flags.add_argument("--shards", type=limits.count, default=1)
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    from diffusion4k import device
    from diffusion4k.latents import encode
    from diffusion4k.latents.shard import encode_shard

    started = time.time()
    folder, dataset = PipelineFolder.open(args.pipeline), manifest.read(args.dataset)
    inputs = {"pipeline": args.pipeline, "dataset": args.dataset}
    if args.vae:
        folder, inputs["vae"] = folder.with_vae(args.vae), args.vae
    chosen = {field.name: getattr(args, field.name) for field in fields(encode.LatentsSettings)}
    count, files = encode_shard(
        folder,
        dataset,
        args.output.parent / "samples",
        encode.LatentsSettings(**chosen | {"size": shape.sides(args.size)}),
        folder=args.folder,
        shard=args.shard,
        shards_in_all=args.shards,
        device_name=args.device,
        workers=max(1, args.workers),
    )
    title = f"latents {args.backbone} {args.shard}/{args.shards}"
    bar = cli.progress(files, total=count, desc=title, unit="sample")
    begun = time.perf_counter()
    stored = list(bar)
    seconds, new = time.perf_counter() - begun, sum(now for _, now in stored)
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[path for path, _ in stored],
        inputs=inputs,
        settings=vars(args),
        # of those made in this run, the loading of the models included
        results={"samples": len(stored), "samples_per_second": new / seconds if new else None},
        started=started,
        device=str(device.choose(args.device)),
        notes=[*folder.notes, *dataset.notes],
    )
    print(f"{len(stored)} samples, {new} of them made now")


if __name__ == "__main__":
    cli.main(run, parser())
