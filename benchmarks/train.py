"""A training step: on stored latents as here, against the released step rewritten.

    python benchmarks/train.py [--backbone sd3] [--size 4096] [--optimizer adamw_8bit] [--quick]

Ours: latents, text and draws come from disk through the trainer's own loader; fp32 objective;
optimizer states on the GPU. It is the trainer's step without accelerate, logging and saving, in one
process. The reference is what the released scripts do in a step (released_step.py): pixels through
the VAE, text from memory, noising and loss in bf16 (the sub-bands of both clean latents), fp32
master weights and AdamW on the CPU, to which gradients go and from which weights come back
(DeepSpeed ZeRO-2 with optimizer offload, on one process), by torch's fused AdamW, which is as fast
there as DeepSpeed's. The same transformer and batch on both sides, activations recomputed; a fresh
model for each. On CUDA, `peak_gb` includes weights, gradients and optimizer states: it is what the
GPU must have. With `--accumulate` a step is of several batches, as in training, so that the
optimizer's own time is shared out.

`wait` is the share of a step in which ours waits for its next batch, `idle` the share of the time
in which nothing runs on the device, by torch's profiler (on a CPU: no operator), from the first
kernel of at least four batches to the last; `waited` are the seconds of each step before its
batches were there, the first and those profiled included. Each step ends when the device has done
it, as the trainer's does, which reads the loss.
"""

import gc
import math
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import harness
import networks
import torch
from latent_samples import stored
from released_step import Released

from diffusion4k import backbones
from diffusion4k.estimate import flops
from diffusion4k.pipelines.compilation import compile_transformer
from diffusion4k.train import launch, samples, step
from diffusion4k.train.model import choose_attention, recompute
from diffusion4k.train.settings import CHOICES, Settings


class Ours:
    """The trainer's step, without accelerate and logging."""

    def __init__(self, transformer, backbone, recipe: Settings, latents: Path, device, workers):
        self.transformer, self.backbone, self.recipe = transformer, backbone, recipe
        found, _ = samples.listing([latents])
        self.header, self.device = samples.header(found[0]), device
        draws = samples.Draws(
            seed=0, global_batch=recipe.global_batch, repeat_every=0, flip=0.5, u=backbone.draw_u
        )
        self.optimizer = launch.optimizer_for(recipe, transformer.parameters())
        if recipe.in_backward:
            self.optimizer.attach()
        dataset = samples.Samples(found, draws)
        slots = range(recipe.global_batch)
        self.batches = samples.loader(
            dataset, range(10_000), slots, recipe.micro_batch, workers=workers
        )
        self.waited: list[float] = []  # seconds, of each step

    def __call__(self) -> float:
        self.waited.append(0.0)
        loss = sum(self.backward() for _ in range(self.recipe.accumulation(1)))
        if self.recipe.in_backward:  # which took the steps
            self.optimizer.gradient_norm()
            return loss
        torch.nn.utils.clip_grad_norm_(self.transformer.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def backward(self) -> torch.Tensor:
        """The loss of the next micro-batch, its gradient added to what there is."""
        began = time.perf_counter()
        batch = next(self.batches)
        self.waited[-1] += time.perf_counter() - began
        batch = {k: v.to(self.device, non_blocking=True) for k, v in batch.items()}
        mixed = {"enabled": self.device.type == "cuda", "cache_enabled": False}
        with torch.autocast(self.device.type, torch.bfloat16, **mixed):
            loss, _ = step.loss(
                self.backbone, self.transformer, batch, self.recipe, self.header, 3.0,
                next(self.transformer.parameters()).dtype,
            )  # fmt: skip
        (loss / self.recipe.accumulation(1)).backward()
        return loss.detach()


def compare(report: harness.Report, name: str, args, device, size: int, limit: float) -> None:
    """Report one backbone: ours, then the reference, each with its own transformer."""
    quick, cuda = args.quick, device.type == "cuda"
    how = {"quick": quick, "share": args.share}
    architecture, backbone = networks.architecture(name, **how), backbones.get(name)
    tokens = 20 if quick else 77
    in_backward = args.optimizer == "adamw_8bit_bf16"
    recipe = Settings(
        backbone=name, global_batch=args.batch * args.accumulate, micro_batch=args.batch,
        optimizer=args.optimizer if cuda or in_backward else "adamw", clip=float(not in_backward),
    )  # fmt: skip
    low = torch.bfloat16 if cuda else torch.float32
    shape = {"height": size, "width": size, "t5_tokens": tokens}
    forward, attention = (
        flops.forward(backbone, architecture, **shape),
        flops.attention(backbone, architecture, **shape),
    )

    def transformer(dtype, *, keep_attention: bool = False, compiled: bool = False):
        made = networks.transformer(name, device, dtype, **how).train()
        recompute(made, keep_attention=keep_attention)
        choose_attention(made, args.attention if cuda else "flash")
        if compiled:
            compile_transformer(made)
        return made

    def row(side: str, function, kept: float = 0, times: int = 1) -> harness.Row:
        part = f", a block of {args.share}" if args.share > 1 else ""
        part += f", {args.optimizer}" if in_backward else ""
        batch = f"{times} x {args.batch}" if times > 1 else args.batch
        found = {"case": f"{name}{part}, batch {batch}, {size} px", "side": side}
        # what the plan reckons with
        usual = not (args.deterministic or args.compile) and args.attention == "flash"
        if args.share == 1 and not in_backward and usual:
            found |= {"stage": "train", "backbone": name}
        try:
            found |= harness.measure(function, device, repeats=args.repeats)
        except torch.cuda.OutOfMemoryError:
            return {"case": found["case"], "side": side, "failed": "out of GPU memory"}
        if cuda:  # all of it, and not only what is above the model that was there
            found["peak_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
        count = times * args.batch * flops.training(forward, recompute=True, kept=kept)
        return harness.achieved(found, count, limit)

    with tempfile.TemporaryDirectory() as temporary:
        latents = stored(Path(temporary), name, architecture, size, tokens, 4)
        model = transformer(
            torch.bfloat16 if in_backward else torch.float32,
            keep_attention=args.keep_attention, compiled=args.compile,
        )  # fmt: skip
        ours = Ours(model, backbone, recipe, latents, device, args.workers)
        kept = attention if args.keep_attention else 0
        found = row("ours", ours, kept=kept, times=args.accumulate)
        if "failed" not in found:  # of the steps that were timed, as they come last
            found["wait"] = statistics.median(ours.waited[-args.repeats :]) / found["seconds"]
            report.add(found)
            report.amend(idle=idle(ours, device, steps=profiled(args)))
            report.amend(waited=[round(seconds, 3) for seconds in ours.waited])
        else:
            report.add(found)
        del ours, model
    gc.collect()
    if args.only_ours:
        return
    if need := short_of_memory(architecture):
        print(f"{name}: the released step is not run: its optimizer needs {need:.0f} GB of memory")
        return
    vae = networks.vae(name, device, low, quick=quick)
    config, length = architecture.transformer, architecture.clip_tokens + tokens
    text = {
        "prompt_embeds": torch.randn(args.batch, length, config["joint_attention_dim"]).to(low),
        "pooled": torch.randn(args.batch, config["pooled_projection_dim"]).to(low),
    }
    released = Released(transformer(low), backbone, recipe, vae, text, device, size)
    report.add(row("reference", released))


def profiled(args) -> int:
    """How many steps: of four batches at least, and two, for what lies between is a part of it."""
    return max(2, args.repeats, math.ceil(4 / args.accumulate))


def idle(function, device, *, steps: int) -> float:
    """Share of the time between the first and the last kernel in which the device runs none."""
    activity = getattr(torch.profiler.ProfilerActivity, device.type.upper())
    with torch.profiler.profile(activities=[activity], acc_events=True) as seen:
        for _ in range(steps):
            function()
            harness.synchronise(device)
    kind = getattr(torch.autograd.DeviceType, device.type.upper())
    return uncovered(
        (event.time_range.start, event.time_range.end)
        for event in seen.events()
        # the name of an optimizer's step is a range around its kernels, gaps included
        if event.device_type == kind and not event.is_user_annotation
    )


def uncovered(spans: Iterable[tuple[float, float]]) -> float:
    """The share of the time from the first start to the last end that no span covers."""
    spans = sorted(spans)
    first = reached = spans[0][0]
    gaps = 0.0
    for start, end in spans:
        gaps += max(0.0, start - reached)
        reached = max(reached, end)
    return gaps / (reached - first)


def short_of_memory(architecture) -> float:
    """GB of memory that fp32 weights, gradients and states would need, if there is less; else 0."""
    text = Path("/proc/meminfo").read_text(encoding="utf-8")
    free = int(text.split("MemAvailable:")[1].split()[0]) * 1024 / 1e9
    need = 16 * architecture.parameters / 1e9
    return need if need > 0.9 * free else 0.0


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--backbone", nargs="+", default=list(backbones.NAMES))
    parser.add_argument("--size", type=int, default=4096, help="px")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--optimizer", default="adamw_8bit", help="of ours, on a GPU")
    parser.add_argument("--workers", type=int, default=4, help="loading processes")
    parser.add_argument("--keep-attention", action="store_true", help="ours: do not recompute it")
    parser.add_argument("--attention", choices=CHOICES["attention"], default="flash")
    parser.add_argument("--compile", action="store_true", help="ours")
    parser.add_argument(
        "--share", type=int, default=1, help="one block of so many, for less memory"
    )
    parser.add_argument("--accumulate", type=int, default=1, help="ours: batches a step")
    parser.add_argument("--deterministic", action="store_true", help="ours: such kernels alone")
    parser.add_argument("--only-ours", action="store_true", help="not the released step")
    args = parser.parse_args()
    if args.quick:
        args.workers = 0
    device = harness.device(args)
    if args.accumulate > 1 and not args.only_ours:
        parser.error("--accumulate: of ours alone; give --only-ours")
    launch.repeatable(args.deterministic)
    size = 64 if args.quick else args.size
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    limit = harness.limit(device, dtype, quick=args.quick)
    names = ("optimizer", "workers", "keep_attention", "compile", "share", "accumulate")
    how = {name: getattr(args, name) for name in (*names, "deterministic", "attention")}
    report = harness.Report(
        "train", args, harness.device_name(device),
        [
            *harness.backbones(args, backbones.NAMES), args.optimizer,
            "deterministic" * args.deterministic, "cudnn" * (args.attention == "cudnn"),
            "compile" * args.compile,
        ],
        dtype=str(dtype), limit_tflops=limit, settings=how,
    )  # fmt: skip
    for name in args.backbone:
        compare(report, name, args, device, size, limit)
    report.end()


if __name__ == "__main__":
    main()
