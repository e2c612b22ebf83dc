"""Encode one shard of a split's images and captions with a backbone's F16 VAE and text encoders.

Samples lie in samples/ beside the manifest. A run that was stopped goes on where it stopped: run
the same command again.
"""

import argparse
import time
from pathlib import Path

from diffusion4k import backbones, cli, manifest, shape
from diffusion4k.data import captions
from diffusion4k.errors import UserError
from diffusion4k.pipelines.folder import PipelineFolder


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    flags.add_argument("--backbone", required=True, help=" or ".join(backbones.NAMES))
    flags.add_argument("--pipeline", type=Path, required=True, help="manifest of its pipeline")
    flags.add_argument("--dataset", type=Path, required=True, help="manifest of the data set")
    flags.add_argument("--folder", default="train", help="folder inside the data set")
    flags.add_argument("--mode", choices=["precomputed", "online"], default="precomputed",
                       help="online: text only, training encodes the images itself")  # fmt: skip
    flags.add_argument("--size", type=shape.parse, default=4096, help="px or HxW, of a crop")
    flags.add_argument("--crops-per-image", type=int, default=1, help="not used online")
    flags.add_argument("--batch", type=int, default=2, help="pictures of a sample a VAE pass")
    flags.add_argument("--workers", type=int, default=cli.threads(), help="decoding threads")
    flags.add_argument("--flip", choices=["both", "none"], default="both", help="mirrored too?")
    flags.add_argument("--t5-tokens", type=int, default=77, help="1 to 512")
    flags.add_argument("--encoder", choices=["stride", "dilation"], default="stride")
    flags.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    flags.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    flags.add_argument("--seed", type=int, default=0, help="of the crops' positions")
    flags.add_argument("--shard", type=int, default=0)
    flags.add_argument("--shards", type=int, default=1)
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    import torch

    from diffusion4k import device
    from diffusion4k.latents import encode

    started = time.time()
    chosen, backbone = device.choose(args.device), backbones.get(args.backbone)
    folder, dataset = PipelineFolder.open(args.pipeline), manifest.read(args.dataset)
    if folder.class_name != backbone.class_name:
        raise UserError(f"{args.pipeline}: not a pipeline of the backbone {args.backbone}")
    settings = encode.LatentsSettings(
        backbone=args.backbone,
        mode=args.mode,
        size=shape.sides(args.size),
        crops_per_image=args.crops_per_image,
        batch=args.batch,
        flip=args.flip,
        t5_tokens=args.t5_tokens,
        encoder=args.encoder,
        dtype=args.dtype,
        seed=args.seed,
    )
    samples = cli.shard(captions.of(dataset, args.folder), args.shard, args.shards)
    code, models = folder.code("latents.py"), folder.fingerprint(transformer=False)
    work = ((s, settings.digest(s, s.listed.sha256, models, code)) for s in samples)

    def load():
        return folder.load(
            dtype=getattr(torch, args.dtype),
            device=chosen,
            forms=folder.forms(encoder=args.encoder),
            without_transformer=True,
        )

    bar = cli.progress(
        encode.encode(
            load,
            backbone,
            work,
            args.output.parent / "samples",
            settings=settings,
            workers=max(1, args.workers),
        ),
        total=len(samples) * settings.stored,
        desc=f"latents {args.backbone} {args.shard}/{args.shards}",
        unit="sample",
    )
    begun = time.perf_counter()
    stored = list(bar)
    seconds, new = time.perf_counter() - begun, sum(now for _, now in stored)
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[path for path, _ in stored],
        inputs={"pipeline": args.pipeline, "dataset": args.dataset},
        settings=vars(args),
        # of those made in this run, the loading of the models included
        results={"samples": len(stored), "samples_per_second": new / seconds if new else None},
        started=started,
        device=str(chosen),
        notes=[*folder.notes, *dataset.notes],
    )
    print(f"{len(stored)} samples, {new} of them made now")


if __name__ == "__main__":
    cli.main(run, parser())
