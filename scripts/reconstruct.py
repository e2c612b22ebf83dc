"""Table 2: photographs through a VAE and back, scored pair by pair, with Inception features.

A photograph is prepared as for training (EXIF transpose, shorter side resized to --size, centre
crop), encoded to the posterior's mean, decoded, and rounded to 8 bits.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

from diffusion4k import cli, images, manifest
from diffusion4k.data import captions as metadata

ARRAYS = ("real", "reconstructed", "real_patches", "reconstructed_patches")
FORMS = {"encoder": ("stride", "dilation"), "decoder": ("folded", "upsample", "published")}


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--vae", type=Path, required=True, help="manifest of it or its pipeline")
    flags.add_argument("--dataset", type=Path, required=True, help="manifest of the data set")
    flags.add_argument("--folder", default="train", help="folder inside it")
    flags.add_argument("--size", type=int, default=4096, help="px")
    flags.add_argument("--factor", type=int, choices=(8, 16), default=16, help="px a latent")
    flags.add_argument("--encoder", choices=FORMS["encoder"], default="stride")
    flags.add_argument("--decoder", choices=FORMS["decoder"], default="published")
    flags.add_argument("--inception", type=Path, required=True, help="manifest of the weights")
    flags.add_argument("--vgg16", type=Path, required=True, help="manifest of the weights")
    flags.add_argument(
        "--vae-tiling",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="encode and decode in blended tiles: little memory, slightly other values",
    )
    flags.add_argument("--crop", type=int, default=299, help="px, of the crops for patch rFID")
    flags.add_argument("--crops", type=int, default=1, help="of them along each side")
    flags.add_argument("--limit", type=int, help="images at even distances instead of all")
    flags.add_argument("--pictures", type=int, default=4, help="pairs of the set kept as PNG")
    flags.add_argument("--shard", type=int, default=0)
    flags.add_argument("--shards", type=int, default=1)
    flags.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    flags.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from diffusion4k.metrics import inputs, reconstruction, scores

    started = time.time()
    paths = {n: getattr(args, n) for n in ("vae", "dataset", "inception", "vgg16")}
    sources = {name: manifest.read(path) for name, path in paths.items()}
    everything = cli.spread(metadata.read(sources["dataset"].root, args.folder), args.limit)
    samples = cli.shard(everything, args.shard, args.shards)
    shown = {sample.id for sample in everything[: args.pictures]}
    deciding = ("folder", "size", "factor", "encoder", "decoder", "dtype", "crop", "crops")
    deciding += ("vae_tiling",)
    key = scores.key(paths.values(), **{name: getattr(args, name) for name in deciding})
    progress = scores.Progress(args.output, scores.Reconstruction, key)
    done = {}
    for sample in samples:
        # which pictures are kept --limit decides, and it is not in the key: are they there?
        pair = pictures(args, sample.id) if sample.id in shown else []
        if all(path.is_file() for path in pair) and (saved := progress.get(sample.id)):
            done[sample.id] = saved

    device = args.device
    if len(done) < len(samples):
        rebuild, features, lpips, device = load(args, sources)
    for sample in cli.progress(samples, desc="reconstruct", unit="image"):
        if sample.id in done:
            continue
        image = inputs.photograph(sample.path, args.size, upright=True)
        real, rebuilt = np.asarray(image), rebuild(image)
        row = scores.Reconstruction(
            id=sample.id, **reconstruction.compare(real, rebuilt), lpips=lpips(real, rebuilt)
        )
        pair = features(real, rebuilt)
        for path, pixels in zip(pictures(args, sample.id), (real, rebuilt), strict=True):
            path.unlink(missing_ok=True)  # of other settings
            if sample.id in shown:
                images.save_png(path, pixels)
        progress.put(row, **pair)
        done[sample.id] = row, pair

    rows = [done[sample.id][0] for sample in samples]
    bulk = [args.output.with_suffix(".parquet"), args.output.with_suffix(".safetensors")]
    scores.write_rows(bulk[0], scores.Reconstruction, rows)
    stacked = {name: [done[s.id][1][name] for s in samples] for name in ARRAYS}
    empty = [np.empty((0, 0), np.float32)]
    scores.write_features(bulk[1], **{k: np.concatenate(v or empty) for k, v in stacked.items()})
    pairs = [path for s in samples if s.id in shown for path in pictures(args, s.id)]
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[*bulk, *pairs],
        inputs=paths,
        settings=vars(args) | {"ssim_window": reconstruction.SSIM_WINDOW},
        results={"n": len(rows), "pictures": [s.id for s in samples if s.id in shown]},
        started=started,
        device=str(device),
        notes=inputs.notes(*sources.values())
        + (
            ["reconstructed in tiles: not quite the values of the whole"] if args.vae_tiling else []
        ),
    )
    progress.finish()


def pictures(args: argparse.Namespace, id: str) -> list[Path]:
    """Where an image's pair is kept."""
    folder = args.output.parent / "pictures"
    return [folder / f"{id}-real.png", folder / f"{id}-reconstructed.png"]


def load(args: argparse.Namespace, sources: dict) -> tuple[Callable, Callable, Callable, object]:
    """A picture => its uint8 reconstruction; a pair => ARRAYS and LPIPS; the device they run on."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import numpy as np
    import torch
    from diffusers import AutoencoderKL

    from diffusion4k.device import choose
    from diffusion4k.metrics import inception, inputs, perceptual
    from diffusion4k.vae.f16 import make_f16
    from diffusion4k.weights import SAFELY, loading

    torch.set_num_threads(cli.threads())
    device, dtype = choose(args.device), getattr(torch, args.dtype)
    folder = sources["vae"].root / "vae"  # in a pipeline, or the VAE by itself
    folder = folder if folder.is_dir() else sources["vae"].root
    with loading(folder, "an AutoencoderKL"):
        vae = AutoencoderKL.from_pretrained(folder, torch_dtype=dtype, **SAFELY)
    vae.to(device).eval()
    if args.factor == 16:
        make_f16(vae, encoder=args.encoder, decoder=args.decoder)
    if args.vae_tiling:
        vae.enable_tiling()
        if (
            args.factor == 8
        ):  # at full resolution inside, so half the side takes an F16 tile's memory
            vae.tile_sample_min_size //= 2
            vae.tile_latent_min_size //= 2

    @torch.inference_mode()
    def rebuild(image):
        pixels = torch.from_numpy(images.to_float(image))[None].to(device, dtype)
        decoded = vae.decode(vae.encode(pixels).latent_dist.mode()).sample
        return images.from_float(decoded[0].float().cpu().numpy())

    network = inception.Inception(inputs.weights(sources["inception"]), device)

    def features(*pair) -> dict:
        """(1, 2048) of either whole image, (crops, 2048) of its crops."""
        cropped = [crop for p in pair for crop in inception.crops(p, args.crop, args.crops)]
        halves = [*np.split(network(list(pair)), 2), *np.split(network(cropped), 2)]
        return dict(zip(ARRAYS, halves, strict=True))

    lpips = perceptual.Lpips(inputs.weights(sources["vgg16"]), device)
    return rebuild, features, lpips, device


if __name__ == "__main__":
    cli.main(run, parser())
