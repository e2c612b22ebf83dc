"""Encoding the training set: decode, crop, VAE, text, write — overlapped, and one after another.

    python benchmarks/latents.py [--size 4096] [--images 16] [--backbone sd3] [--quick]

Ours is diffusion4k.latents.encode, which scripts/latents.py runs; the reference does the same work
for the same bytes in a plain loop; `VAE alone` is what neither can beat. Synthetic photographs of
the data set's median size, each with its mirror image, as JPEG.
"""

import itertools
import tempfile
from pathlib import Path

import harness
import networks
import torch
from pictures import photographs

from diffusion4k import backbones, cli
from diffusion4k.estimate import flops
from diffusion4k.latents import encode, store


def overlapped(pipeline, backbone, samples, folder: Path, settings, workers: int) -> list[Path]:
    work = ((sample, settings.digest(sample)) for sample in samples)
    made = encode.encode(
        lambda: pipeline, backbone, work, folder, settings=settings, workers=workers
    )
    return [path for path, _ in made]


def sequential(pipeline, backbone, samples, folder: Path, settings) -> list[Path]:
    """One picture after another: decode, encode, encode its mirror image, write."""
    paths = []
    for sample in samples:
        pixels = encode.load_crops(sample, 1, seed=settings.seed, size=settings.size)
        mean, logvar = encode.posterior(pipeline.vae, pixels)
        mirrored = encode.posterior(pipeline.vae, pixels.flip(-1))
        text = backbone.encode_text(
            pipeline, [sample.text], settings.t5_tokens, pipeline.vae.device
        )
        tensors = {"mean": mean[0], "logvar": logvar[0], "mean_flip": mirrored[0][0]}
        tensors |= {"logvar_flip": mirrored[1][0]} | text[0]
        path = store.sample_path(folder, sample.id, 0)
        store.write_sample(path, tensors, {"id": sample.id})
        paths.append(path)
    return paths


def compare(pipeline, backbone, samples, root: Path, settings, workers: int) -> tuple[dict, dict]:
    """What is timed, by side; each leaves the files it wrote last in `written`.

    Ours writes into a new folder each time, as it would resume.
    """
    turn, written = itertools.count(), {}
    blank = torch.zeros(2, 3, *settings.size, dtype=torch.uint8)

    def ours():
        folder = root / f"ours-{next(turn)}"
        written["ours"] = overlapped(pipeline, backbone, samples, folder, settings, workers)

    def reference():
        folder = root / "reference"
        written["reference"] = sequential(pipeline, backbone, samples, folder, settings)

    def alone():
        for _ in samples:
            encode.posterior(pipeline.vae, blank)

    return {"ours": ours, "reference": reference, "VAE alone": alone}, written


def differences(ours: list[Path], theirs: list[Path]) -> float:
    """The largest difference between two sets of samples, of the largest value."""
    gaps = []
    for a, b in zip(ours, theirs, strict=True):
        first, second = store.read_sample(a)[0], store.read_sample(b)[0]
        for name, tensor in first.items():
            gap = (tensor.float() - second[name].float()).abs().max()
            gaps.append(gap / tensor.float().abs().max())
    return torch.stack(gaps).max().item()  # which keeps a NaN


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--size", type=int, help="px; default 4096")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument(
        "--backbone", nargs="+", choices=backbones.NAMES, default=list(backbones.NAMES)
    )
    parser.add_argument("--workers", type=int, default=cli.threads(), help="decoding threads")
    args = parser.parse_args()
    device = harness.device(args)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    size, images = (64, 3) if args.quick else (args.size or 4096, args.images)
    limit = harness.limit(device, dtype, quick=args.quick)
    gaps = {}
    report = harness.Report(
        "latents", args, harness.device_name(device), harness.backbones(args, backbones.NAMES),
        dtype=str(dtype), limit_tflops=limit, workers=args.workers,
    )  # fmt: skip
    for name in args.backbone:
        backbone = backbones.get(name)
        pipeline = networks.pipeline(name, device, dtype, quick=args.quick, with_transformer=False)
        vae = networks.architecture(name, quick=args.quick).vae
        settings = encode.LatentsSettings(
            backbone=name, mode="precomputed", size=(size, size), crops_per_image=1, batch=2,
            flip="both",
            t5_tokens=20 if args.quick else 77, encoder="stride", dtype=str(dtype), seed=0,
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as temporary:
            root = Path(temporary)
            # the median photograph of the training set is 4128 x 4640 px (Table 9)
            samples = photographs(root, images, height=size, width=size * 9 // 8)
            sides, written = compare(pipeline, backbone, samples, root, settings, args.workers)
            count = 2 * images * flops.encode(vae, height=size, width=size)
            timed = harness.alternate(sides, device, repeats=args.repeats)
            for side, taken in timed.items():
                row = {"case": f"{name}, {images} images, {size} px", "side": side}
                row |= {"stage": "latents", "backbone": name}
                report.add(harness.achieved(row | taken, count, limit))
            gaps[name] = differences(written["ours"], written["reference"])
        del pipeline
    print(f"largest difference between ours and the loop, of the largest value: {gaps}\n")
    report.end(differences=gaps)


if __name__ == "__main__":
    main()
