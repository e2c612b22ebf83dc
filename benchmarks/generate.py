"""A denoising step: as scripts/generate.py samples, against the stock diffusers pipeline.

    python benchmarks/generate.py [--backbone flux] [--size 4096] [--no-compile] [--quick]

All sides call the same F16 pipeline, in the same precision, batch 1, folded decoder. Ours: texts
encoded first and the encoders dropped, attention by FlashAttention 3 where it works (`--attention
native`: torch's own); `compiled` is ours with the transformer compiled. The reference: the pipeline
as loaded, text encoders beside it. Seconds are those of one step, from two runs of different
length; `picture` is a run with decoding, `first_call` the first, compilation included.
`difference` is the mean and the largest from the reference's picture, in grey levels.
"""

import gc
import time

import harness
import networks
import numpy as np
import torch

from diffusion4k import backbones
from diffusion4k.estimate import flops
from diffusion4k.generate import kernels, sampler


def settings(name: str, size: int, steps: int, *, quick: bool) -> sampler.SamplerSettings:
    """As the released evaluation samples: guidance 7, 77 T5 tokens for SD3, 512 for Flux."""
    tokens = 20 if quick else {"sd3": 77, "flux": 512}[name]
    return sampler.SamplerSettings(
        height=size, width=size, steps=steps, guidance=7.0, t5_tokens=tokens
    )


class Side:
    """One way of sampling: `picture(steps)`, and what a step and a whole picture take."""

    def __init__(self, name: str, made, size: int, *, quick: bool):
        self.name, self.made, self.size, self.quick = name, made, size, quick
        self.backbone, self.text = backbones.get(name), None
        self.last: np.ndarray | None = None  # of the longest picture measured

    def prepare(self, attention: str, compiled: bool) -> dict:
        """Ours: texts first, encoders out, kernels."""
        if self.text is None:
            how = settings(self.name, self.size, 1, quick=self.quick)
            (self.text,) = sampler.encode(self.made, self.backbone, networks.WORDS, how)
            sampler.drop_text_encoders(self.made)
        return kernels.prepare(self.made, attention=attention, compiled=compiled)

    def picture(self, steps: int) -> None:
        how, text = settings(self.name, self.size, steps, quick=self.quick), self.text
        self.last = (
            self.stock(how)
            if text is None
            else sampler.sample(self.made, self.backbone, networks.WORDS[0], 0, how, text=text)
        )

    @torch.no_grad()
    def stock(self, how: sampler.SamplerSettings) -> np.ndarray:
        """The reference: the pipeline's own call, its own way from tensor to picture."""
        arguments = self.backbone.call_arguments(t5_tokens=how.t5_tokens, negative_prompt="")
        made = self.made(
            networks.WORDS[0], height=how.height, width=how.width, guidance_scale=how.guidance,
            num_inference_steps=how.steps, generator=torch.Generator("cpu").manual_seed(0),
            **arguments,
        )  # fmt: skip
        return np.asarray(made.images[0])

    def measure(self, short: int, long: int, device, repeats: int) -> harness.Row:
        """Seconds of a step by difference, peak memory, seconds of the longer picture."""
        resident = torch.cuda.memory_allocated(device) / 1e9 if device.type == "cuda" else 0.0
        began = time.perf_counter()
        self.picture(short)
        warming = time.perf_counter() - began
        taken = {n: harness.measure(lambda n=n: self.picture(n), device, repeats=repeats, warmup=0)
                 for n in (short, long)}  # fmt: skip
        step = (taken[long]["seconds"] - taken[short]["seconds"]) / (long - short)
        return {
            "seconds": max(step, 1e-9),
            # weights included: it is the memory that a GPU must have
            "peak_gb": resident + taken[long]["peak_gb"],
            f"picture_{long}_steps": taken[long]["seconds"],
            "first_call": warming,
        }


def compare(report: harness.Report, name: str, args, device, dtype, size: int, limit) -> None:
    """Report each side; one that does not work, such as a kernel that is not there, is `failed`."""
    architecture = networks.architecture(name, quick=args.quick)
    how = settings(name, size, 1, quick=args.quick)
    backbone, shape = backbones.get(name), {"height": size, "width": size}
    count = flops.forward(backbone, architecture, **shape, t5_tokens=how.t5_tokens)
    count *= backbone.predictions(how.guidance)  # batched
    short, long = (1, 3) if args.quick else (2, 10)
    made = networks.pipeline(name, device, dtype, quick=args.quick)
    one, expected = Side(name, made, size, quick=args.quick), None
    # the reference first: ours drops the encoders of the same pipeline, then it is compiled
    for side in ("reference", "ours", *(["compiled"] if args.compile else [])):
        compiled = side == "compiled"
        row = {"case": f"step, {name}, {size} px", "side": side}
        try:
            used = {} if side == "reference" else one.prepare(args.attention, compiled)
            measured = one.measure(short, long, device, args.repeats) | used
        except Exception as error:  # noqa: BLE001 (each has its own way of not working)
            report.fail(f"{side}, {row['case']}", error)
            continue
        if not compiled and used.get("attention", "native") == "native":
            # as the workflow does by default, and the plan reckons
            row |= {"stage": "generate", "backbone": name}
        if expected is None:
            expected = one.last.astype(int)
        else:
            gap = abs(one.last - expected)
            measured["difference"] = f"{gap.mean():.3g}, {gap.max()}"
        report.add(harness.achieved(row | measured, count, limit))
    del made, one
    gc.collect()


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--backbone", nargs="+", default=list(backbones.NAMES))
    parser.add_argument("--size", type=int, default=4096, help="px")
    parser.add_argument("--attention", choices=["native", "flash_3", "auto"], default="auto")
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    args = parser.parse_args()
    device = harness.device(args)
    args.compile = args.compile and device.type == "cuda"
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    size = 64 if args.quick else args.size
    limit = harness.limit(device, dtype, quick=args.quick)
    report = harness.Report(
        "generate", args, harness.device_name(device),
        [*harness.backbones(args, backbones.NAMES), "flash_3" * (args.attention == "flash_3")],
        dtype=str(dtype), limit_tflops=limit,
    )  # fmt: skip
    for name in args.backbone:
        compare(report, name, args, device, dtype, size, limit)
    report.end()


if __name__ == "__main__":
    main()
