"""Table 5: what one picture takes, in seconds of a denoising step and GPU memory, or that it can't.

Sampled as scripts/generate.py samples, in a process of its own. A step's seconds are the mean of
those after the first few, so that texts, warming up and decoding do not count; the memory is the
most that torch had allocated, from the loaded pipeline to the decoded picture (on a CPU: the most
resident memory of the process). What is too large for the GPU or the model is a result, no error.
"""

import argparse
import time
from pathlib import Path

from diffusion4k import cli, limits, manifest, shape
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.errors import UserError
from diffusion4k.generate import flags as shared
from diffusion4k.generate.settings import SamplerSettings
from diffusion4k.pipelines.folder import PipelineFolder

PROMPT = "A photograph of a mountain lake in the morning"
WARM = 3  # steps before the clock starts: kernels are chosen, and compiled, at their first call


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("--model", required=True, help="manifest of a pipeline, or its folder")
    flags.add_argument("--size", type=shape.parse, required=True, help="px or HxW")
    flags.add_argument(
        "--timed-steps", type=limits.count, default=10, help=f"after the first {WARM}"
    )
    flags.add_argument("--guidance", type=limits.finite, help="guidance scale")
    flags.add_argument("--t5-tokens", type=limits.tokens, help="1 to 512")
    shared.add_loading(flags, dtype="bfloat16")
    flags.add_argument("--output", type=Path, required=True, help="manifest to write")
    return flags


def run(args: argparse.Namespace) -> None:
    import torch

    from diffusion4k import device
    from diffusion4k.generate import sampler

    started = time.time()
    folder, chosen = PipelineFolder.open(args.model), device.choose(args.device)
    try:
        if args.offload and chosen.type == "cpu":
            results = {"failed": "offloading needs a GPU"}
        else:
            results = measure(args, folder)
    except sampler.TooLarge as error:
        results = {"failed": error.short}
    except torch.cuda.OutOfMemoryError:  # while the pipeline was loaded
        results = {"failed": "out of GPU memory"}
    name = torch.cuda.get_device_name() if chosen.type == "cuda" else "a CPU"
    manifest.write(
        args.output,
        root=args.output.parent,
        files=[],
        inputs={"model": args.model, **shared.kernel(args)},
        settings=vars(args),
        results=results,
        started=started,
        device=str(chosen),
        notes=[*folder.notes, f"measured on {name}"],
    )
    print(f"{args.output}: {results}")


def measure(args: argparse.Namespace, folder: PipelineFolder) -> dict[str, float]:
    """{"memory_gb", "seconds_per_step"}; sampler.TooLarge or torch's error without the memory."""
    import torch

    from diffusion4k.device import memory
    from diffusion4k.generate import sampler

    settings = SamplerSettings(
        height=shape.height(args.size),
        width=shape.width(args.size),
        steps=WARM + args.timed_steps,
        guidance=args.guidance,
        t5_tokens=args.t5_tokens,
    )
    settings.check_sides(folder.backbone.multiple)
    setup = shared.setup(args, folder)
    pipeline = setup.load()
    sampler.check_size(pipeline, settings)
    prompt = CaptionedImage("prompt", Path(), PROMPT)
    text = sampler.encode_all(pipeline, folder.backbone, [prompt], settings).get(prompt.id)

    times = []

    def on_step() -> None:
        """Keep when each step was done; the GPU is waited for where the clock is read."""
        if setup.device.type == "cuda" and len(times) + 1 in (WARM, settings.steps):
            torch.cuda.synchronize()
        times.append(time.perf_counter())

    sampler.sample(pipeline, folder.backbone, PROMPT, 0, settings, on_step=on_step, text=text)
    if len(times) != settings.steps:
        raise UserError(
            f"{folder.root}: its pipeline does not tell its steps, which cannot be timed then"
        )
    step = (times[-1] - times[WARM - 1]) / args.timed_steps
    return {"memory_gb": memory.peak_gb(), "seconds_per_step": step}


if __name__ == "__main__":
    cli.main(run, parser())
