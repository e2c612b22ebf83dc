"""What comparing files with their manifests costs, beside the work that reads them.

    python benchmarks/checking.py            pictures, latents of 4096 px, 1 GB of weights: minutes
    python benchmarks/checking.py --quick    256 px, 1 MB

Each case is a consumer as the workflow has it, with (`ours`) and without (`unchecked`) the
comparison of size and SHA-256; `hashing` is the comparison alone. `added` is the share of the
processor's time that it adds, on which others' work has no part. Files lie in the page cache, the
worst case: from a disk, the comparison reads a file and what follows finds it in memory.
Latents and weights are random, pictures a real photograph.
"""

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import harness
import numpy as np
import torch
from latent_samples import stored
from photograph_shard import photograph_shard
from safetensors.torch import load_file, save_file

from diffusion4k import backbones, images, manifest
from diffusion4k.manifest import Listed, Manifest
from diffusion4k.metrics import compression, glcm, inputs
from diffusion4k.train import samples

Work = Callable[[], object]


def parser() -> argparse.ArgumentParser:
    return harness.parser(__doc__)


def scoring(folder: Path, size: int, count: int) -> tuple[Manifest, Work]:
    """GLCM Score and Compression Ratio of a shard's JPEGs, one process."""
    shard, matrices = manifest.read(photograph_shard(folder, size, count)), glcm.Matrices()

    def work() -> None:
        for picture in inputs.generated(shard):
            glcm.score(glcm.grey(np.asarray(picture.load())), matrices, properties=False)
            compression.sizes(picture.path)

    return shard, work


def decoding(folder: Path, size: int, count: int) -> tuple[Manifest, Work]:
    """Photographs decoded, as before their latents are made: the least that a consumer does."""
    dataset = manifest.read(photograph_shard(folder, size, count))

    def work() -> None:
        for path in dataset.paths():
            np.asarray(images.load_rgb(dataset.listed(path).sound(), exif_transpose=True))

    return dataset, work


def loading(folder: Path, size: int, count: int) -> tuple[Manifest, Work]:
    """SD3's latent samples drawn for training's steps, each read from its file."""
    architecture = backbones.get("sd3").architecture
    shard = stored(folder, "sd3", architecture, size, 512, count)
    listing, _ = samples.listing([shard])
    draws = samples.Draws(0, 1, 1, 0.5, lambda random: 0.5)
    drawn = samples.Samples(listing, draws)
    return manifest.read(shard), lambda: [drawn[step, 0] for step in range(count)]


def weights(folder: Path, size: int, count: int) -> tuple[Manifest, Work]:
    """A pipeline's safetensors, read and brought into the work's precision."""
    folder.mkdir()
    elements = 2**17 if size < 4096 else 2**27  # bf16: 0.25 MB or 0.25 GB a file
    for part in range(count):
        save_file({"w": torch.randn(elements).to(torch.bfloat16)}, folder / f"{part}.safetensors")
    path = folder / "source.json"
    manifest.write(
        path, root=folder, files=folder.glob("*.safetensors"), inputs={}, settings={},
        started=time.time(),
    )  # fmt: skip
    source = manifest.read(path)

    def work() -> None:
        for file in source.sound():
            load_file(file)["w"].float()

    return source, work


CASES = {
    "GLCM Score and Compression Ratio": scoring,
    "photographs decoded": decoding,
    "latents drawn in training": loading,
    "weights loaded": weights,
}


def unchecked(work: Work) -> Work:
    """The same without the comparison; the product itself has no such switch."""

    def run() -> None:
        with mock.patch.object(Listed, "fault", lambda self: ""):
            work()

    return run


def on_cpu(call: Work, seconds: list[float]) -> Work:
    """`call`, which notes the processor's seconds that it takes, those of its threads too."""

    def run() -> None:
        began = time.process_time()
        call()
        seconds.append(time.process_time() - began)

    return run


def main() -> None:
    args = parser().parse_args()
    device = harness.device(args)
    size, count = (256, 2) if args.quick else (4096, 4)
    rows = []
    with contextlib.ExitStack() as stack:
        for case, make in CASES.items():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()), "run")
            source, work = make(folder, size, count)
            sides = {"ours": work, "unchecked": unchecked(work), "hashing": source.sound}
            cpu: dict[str, list[float]] = {side: [] for side in sides}
            calls = {side: on_cpu(call, cpu[side]) for side, call in sides.items()}
            measured = harness.alternate(calls, device, repeats=args.repeats)
            bulk = {"files": len(source.files), "mb": sum(f.bytes for f in source.files) / 1e6}
            for side, row in measured.items():
                own, without = min(cpu[side]), min(cpu["unchecked"])
                added = {"added": own / without - 1} if side == "ours" else {}
                rows.append(
                    {"case": case, "side": side} | row | {"cpu_seconds": own} | added | bulk
                )
    name, load = harness.device_name(device), os.getloadavg()[0]
    harness.report("checking", args, name, rows, load=load)


if __name__ == "__main__":
    main()
