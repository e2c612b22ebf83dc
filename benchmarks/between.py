"""How long the GPU waits between two pictures: from a decoded one to the next one's first step.

    python benchmarks/between.py [--backbone sd3] [--size 4096] [--quick]

From the end of the VAE's last kernel to the transformer's first, on the device's own clock; on a
CPU, where nothing waits, the same by the process's. Ours: the sampler, which rounds on the device
and saves in a thread. The reference: the stock pipeline, its picture saved alike before the next is
begun. `seconds` is the median, `most` the longest of the waits.
Two steps a picture, weights random.
"""

import statistics
import tempfile
import time
from pathlib import Path

import harness
import networks
import numpy as np
import torch

from diffusion4k import backbones
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.generate import sampler
from diffusion4k.generate.folder import Folder

STEPS = 2


class Clock:
    """When each picture was decoded, and when the next one's first step began, by hooks."""

    def __init__(self, pipeline, device: torch.device):
        self.device, self.decoded, self.begun = device, [], []
        self.hooks = [
            pipeline.vae.decoder.register_forward_hook(lambda *_: self.decoded.append(self.now())),
            pipeline.transformer.register_forward_pre_hook(self.step),
        ]

    def now(self):
        if self.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def step(self, *_) -> None:
        if len(self.decoded) > len(self.begun):
            self.begun.append(self.now())

    def waits(self) -> list[float]:
        """Seconds of each wait; takes the hooks away."""
        for hook in self.hooks:
            hook.remove()
        pairs = zip(self.decoded, self.begun, strict=False)  # nothing follows the last
        if self.device.type != "cuda":
            return [begun - decoded for decoded, begun in pairs]
        torch.cuda.synchronize()
        return [decoded.elapsed_time(begun) / 1000 for decoded, begun in pairs]


def ours(made, backbone, how: sampler.SamplerSettings, folder: Folder, count: int) -> None:
    """The sampler's way with a data set of so many prompts."""
    words = networks.WORDS[0]
    prompts = [CaptionedImage(str(number), Path(), f"{words} {number}") for number in range(count)]
    for _ in sampler.sample_all(
        lambda: made, backbone, prompts, folder, settings=how, seed_of=int, made_from={}
    ):
        pass


def reference(made, backbone, how: sampler.SamplerSettings, folder: Folder, count: int) -> None:
    """The stock pipeline's, one picture after the other."""
    (text,) = sampler.encode(made, backbone, networks.WORDS, how)
    arguments = backbone.call_arguments(t5_tokens=how.t5_tokens, negative_prompt="")
    arguments.pop("negative_prompt", None)
    arguments |= {"height": how.height, "width": how.width, "guidance_scale": how.guidance}
    for number in range(count):
        placed = {name: tensor.to(made._execution_device) for name, tensor in text.items()}
        seeded = torch.Generator("cpu").manual_seed(number)
        picture = made(
            generator=seeded, num_inference_steps=how.steps, **arguments, **placed
        ).images[0]
        folder.save(str(number), np.asarray(picture), digest="", seconds=0)


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--backbone", choices=backbones.NAMES, default="sd3")
    parser.add_argument("--size", type=int, default=4096, help="px")
    parser.add_argument("--pictures", type=int, default=4)
    args = parser.parse_args()
    device = harness.device(args)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    size = 64 if args.quick else args.size
    how = sampler.SamplerSettings(
        height=size, width=size, steps=STEPS, guidance=7.0, t5_tokens=20 if args.quick else 77
    )
    made = networks.pipeline(args.backbone, device, dtype, quick=args.quick)
    card = harness.device_name(device)
    report = harness.Report("between", args, card, dtype=str(dtype))
    # the reference first: ours drops the text encoders
    for side, draw in (("reference", reference), ("ours", ours)):
        clock = Clock(made, device)
        with tempfile.TemporaryDirectory() as folder:
            draw(made, backbones.get(args.backbone), how, Folder(folder), args.pictures)
        waits = clock.waits()
        row = {"case": f"between pictures, {args.backbone}, {size} px", "side": side}
        report.add(row | {"seconds": statistics.median(waits), "most": max(waits)})
    report.end()


if __name__ == "__main__":
    main()
