"""Figure 4: some photographs through VAEs and back, as PNG; nothing is scored.

A photograph is prepared as for training (EXIF transpose, shorter side resized to --size, centre
crop), encoded to the posterior's mean, decoded, and rounded to 8 bits, as reconstruct.py does.
"""

import argparse
import json
import time
from pathlib import Path

from diffusion4k import cli, images, limits, manifest
from diffusion4k.data import captions, shards
from diffusion4k.errors import UserError

FORM = {"factor": 16, "encoder": "stride", "decoder": "folded"}


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument(
        "--rows", type=json.loads, required=True, metavar="JSON",
        help=f"name of a row: its vae (a manifest of it or its pipeline), and of {', '.join(FORM)}"
        " what it has of its own"
    )  # fmt: skip
    flags.add_argument("--dataset", type=Path, required=True, help="manifest of the data set")
    flags.add_argument("--folder", default="train", help="folder inside it")
    flags.add_argument("--size", type=limits.side, default=4096, help="px")
    flags.add_argument("--count", type=limits.count, default=4, help="images at even distances")
    flags.add_argument("--vae-tiling", action=argparse.BooleanOptionalAction, default=False)
    flags.add_argument(
        "--tf32", action=argparse.BooleanOptionalAction, default=False,
        help="on a GPU, the VAE's convolutions in TensorFloat-32"
    )  # fmt: skip
    flags.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    flags.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    started = time.time()
    for name, row in args.rows.items():
        if set(row) - {"vae", *FORM} or "vae" not in row:
            raise UserError(f"--rows, {name}: a vae, and of {', '.join(FORM)} what it has")
    dataset = manifest.read(args.dataset)
    sources = {name: manifest.read(row["vae"]) for name, row in args.rows.items()}

    import numpy as np
    import torch

    from diffusion4k.device import choose_exact
    from diffusion4k.metrics import inputs
    from diffusion4k.vae import reconstruct

    torch.set_num_threads(cli.threads())
    device, root = choose_exact(args.device), args.output.parent
    samples = shards.spread(captions.of(dataset, args.folder), args.count)
    real = {s.id: inputs.photograph(s.sound(), args.size, upright=True) for s in samples}
    records = []

    def keep(row: str, sample: captions.CaptionedImage, pixels: np.ndarray) -> None:
        name = f"{row}/{sample.id}.png"
        images.save_png(root / name, pixels)
        sides = dict(zip(("height", "width"), pixels.shape, strict=False))
        record = {"row": row, "id": sample.id, "prompt": sample.text}
        records.append(record | sides | {"file": name})

    for sample in samples:
        keep("photograph", sample, np.asarray(real[sample.id]))
    for name, row in args.rows.items():
        source, form = sources[name], FORM | row
        source.sound(source.within("vae") or None)
        vae = reconstruct.load(
            source.root,
            factor=form["factor"],
            encoder=form["encoder"],
            decoder=form["decoder"],
            dtype=getattr(torch, args.dtype),
            device=device,
            tiling=args.vae_tiling,
        )
        for sample in cli.progress(samples, desc=name, unit="image"):
            keep(name, sample, reconstruct.rebuild(vae, real[sample.id], sample.id, tf32=args.tf32))
    tiles = ["reconstructed in tiles: not quite the values of the whole"]
    manifest.write(
        args.output,
        root=root,
        files=[root / record["file"] for record in records],
        inputs={"dataset": args.dataset} | {name: row["vae"] for name, row in args.rows.items()},
        settings=vars(args),
        results={"pictures": records},
        started=started,
        device=str(device),
        notes=inputs.notes(*sources.values(), dataset) + (tiles if args.vae_tiling else []),
    )
    print(f"{args.output}: {len(samples)} photographs by {', '.join(args.rows)}")


if __name__ == "__main__":
    cli.main(run, parser())
