"""Scoring generated images: every network in one pass, against one metric after another.

    python benchmarks/score.py [--images 32] [--size 4096] [--only-ours] [--quick]

Ours is what scripts/features.py and scripts/texture.py run: each image decoded once, ahead of its
batch, for CLIPScore, Aesthetics and Inception features, and once for GLCM Score and Compression
Ratio, in processes as there; both at once, as the workflow's two jobs may run. The reference scores
as the released evaluation does, metric by metric and image by image, each decoding again; its GLCM
Score is ours too (benchmarks/glcm.py compares that one). Real network sizes with random weights;
miniature CLIPs with --quick. With --only-ours, for many images, ours is warmed up on one batch and
timed once, and beyond DISTINCT images their files come again under other names.
"""

import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import harness
import numpy as np
import torch
from pictures import photographs

from diffusion4k import cli, manifest
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.device import choose_exact
from diffusion4k.metrics import aesthetics, clip, compression, features, glcm, inception, inputs
from diffusion4k.sources.miniature import metric_networks

DISTINCT = 32  # drawing more takes longer than scoring them
# OpenAI's CLIPs as open_clip describes them
TEXT = {"context_length": 77, "vocab_size": 49408, "layers": 12}
CLIPS = {
    "clip": {
        "embed_dim": 512,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 16},
        "text_cfg": TEXT | {"width": 512, "heads": 8},
    },
    "clip_large": {
        "embed_dim": 768,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 224, "layers": 24, "width": 1024, "patch_size": 14},
        "text_cfg": TEXT | {"width": 768, "heads": 12},
    },
}


def make_clip(folder: Path, config: dict) -> list[Path]:
    """An open_clip folder of this configuration, weights random."""
    import open_clip
    from safetensors.torch import save_file

    state = open_clip.model.CLIP(**config).state_dict()
    save_file({k: v.contiguous() for k, v in state.items()}, folder / "open_clip_model.safetensors")
    mean, std = metric_networks.CLIP_MEAN, metric_networks.CLIP_STD
    text = json.dumps({"model_cfg": config, "preprocess_cfg": {"mean": mean, "std": std}})
    (folder / "open_clip_config.json").write_text(text, encoding="utf-8")
    return list(folder.iterdir())


def networks(root: Path, *, quick: bool) -> dict[str, manifest.Manifest]:
    """Manifests of the four networks."""
    makers = {
        "clip": lambda f: metric_networks.make_clip(f, embed_dim=512, patch_size=16),
        "clip_large": lambda f: metric_networks.make_clip(f, embed_dim=768, patch_size=14),
        "aesthetics_head": metric_networks.make_aesthetics_head,
        "inception": metric_networks.make_inception,
    }
    if not quick:
        makers |= {name: lambda f, c=config: make_clip(f, c) for name, config in CLIPS.items()}
    found = {}
    torch.manual_seed(0)
    for name, make in makers.items():
        (root / name).mkdir()
        files = make(root / name)
        manifest.write(
            root / f"{name}.json", root=root / name, files=files, inputs={}, settings={},
            started=time.time(),
        )  # fmt: skip
        found[name] = manifest.read(root / f"{name}.json")
    return found


def texture(path: Path) -> tuple:
    """What scripts/texture.py computes of an image."""
    pixels = np.asarray(inputs.Picture(path.stem, path, None).load())
    return (*compression.sizes(path), *glcm.score(glcm.grey(pixels)).values())


def again(sample: CaptionedImage, number: int) -> CaptionedImage:
    """The same file as image `number`, under a name of its own."""
    path = sample.path.with_stem(str(number))
    if not path.exists():
        path.hardlink_to(sample.path)
    return CaptionedImage(str(number), path, sample.text)


def difference(ours: list[tuple], theirs: list[tuple]) -> float:
    """The largest of a score or feature, relative to the largest value."""
    gaps = [
        np.abs(np.asarray(a) - np.asarray(b)).max() / max(1e-6, np.abs(b).max())
        for first, second in zip(ours, theirs, strict=True)
        for a, b in zip(first, second, strict=True)
    ]
    return float(np.max(gaps))  # which keeps a NaN


class Sequential:
    """Metric by metric, image by image, each decoding again."""

    def __init__(self, sources: dict, device: torch.device, crop: int, crops: int):
        self.crop = (crop, crops)
        self.small = clip.Clip(sources["clip"].root, device)
        large = clip.Clip(sources["clip_large"].root, device)
        self.beauty = aesthetics.Aesthetics(large, inputs.weights(sources["aesthetics_head"]))
        self.network = inception.Inception(inputs.weights(sources["inception"]), device)

    def __call__(self, items: list[features.Item], paths: list[Path]) -> list[tuple]:
        aligned = [self.small.score([i.load()], [i.prompt])[0].published for i in items]
        beautiful = [self.beauty.score([item.load()])[0] for item in items]
        seen = [self.network([np.asarray(item.load())]) for item in items]
        patches = [self.network(inception.crops(np.asarray(i.load()), *self.crop)) for i in items]
        textures = [texture(path) for path in paths]
        neural = zip(aligned, beautiful, seen, patches, strict=True)
        return [(*scores, *found) for scores, found in zip(neural, textures, strict=True)]


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--size", type=int, default=4096, help="px")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--only-ours", action="store_true", help="not the released evaluation")
    parser.add_argument(
        "--workers", type=int, default=cli.threads(), help="decoding threads; processes for texture"
    )
    args = parser.parse_args()
    device = choose_exact(str(harness.device(args)))
    size, count = (96, 3) if args.quick else (args.size, args.images)
    report = harness.Report(
        "score", args, harness.device_name(device), ["only-ours" * args.only_ours],
        batch=args.batch, workers=args.workers,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        sources = networks(root, quick=args.quick)
        (root / "images").mkdir()
        few = photographs(root / "images", min(count, DISTINCT), height=size, width=size)
        samples = [again(few[i % len(few)], i) for i in range(count)]
        paths = [sample.path for sample in samples]
        items = [
            features.Item(s.id, inputs.Picture(s.id, s.path, None).load, s.text) for s in samples
        ]
        crop, crops = (64, 1) if args.quick else (299, 4)
        pool = ThreadPoolExecutor(args.workers)
        score = features.Scorer(sources, device, crop=crop, crops=crops, prepare=pool.map)
        found = {}

        def ours(number: int = count) -> None:
            # textures come first: their processes start before the neural work does
            textures = cli.parallel(texture, paths[:number], args.workers)
            neural = features.in_batches(items[:number], args.batch, score, pool)
            found["ours"] = [
                (row.clipscore_published, row.aesthetics, *seen.values(), *texts)
                for texts, (row, seen) in zip(textures, neural, strict=True)
            ]

        if args.only_ours:
            ours(args.batch)
            taken = {"ours": harness.measure(ours, device, repeats=1, warmup=0)}
        else:
            sequential = Sequential(sources, device, crop, crops)

            def reference() -> None:
                found["reference"] = sequential(items, paths)

            sides = {"ours": ours, "reference": reference}
            taken = harness.alternate(sides, device, repeats=args.repeats)
        for side, row in taken.items():
            row = {"case": f"{count} images, {size} px", "side": side} | row
            report.add(row | {"images_per_second": count / row["seconds"]})
        pool.shutdown()
    if not args.only_ours:
        gap = difference(found["ours"], found["reference"])
        print(f"largest difference of a score or feature, relative: {gap:.2g}\n")
        report.add(difference=gap)
    report.end()


if __name__ == "__main__":
    main()
