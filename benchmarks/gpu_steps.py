"""The steps of gpu_check.py: which benchmarks, with which flags, for how long."""

import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GPU_DEMO = ("--config", "config/demo-gpu.yaml", "--profile", "profiles/local")
ALONE = {"machine", "miniature"}  # they measure imports too: not ahead, and nothing beside them
LARGE = 100  # GB of GPU memory, from which on Flux trains whole


@dataclass(frozen=True)
class Step:
    """A command without its Python, and the seconds that it may take."""

    command: tuple[str, ...]
    seconds: float

    def line(self, output: Path, *, quick: bool, device: str = "cpu") -> list[str]:
        """What to run; `output` is where a benchmark leaves its JSON, `device` of a quick one."""
        script, *flags = self.command
        if script.startswith("benchmarks/"):
            flags += ["--output", str(output)]
            flags += ["--quick", "--device", device] if quick else []
        elif quick:  # Snakemake's plan of the miniature stands for the miniature
            plan = ["--configfile", "config/demo-gpu.yaml", "--config", "run=unmade"]
            return [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", *plan, "--", "all"]
        return [sys.executable, str(ROOT / script), *flags]


def steps(gpu_gb: float) -> dict[str, Step]:
    """By name, the most valuable first; what trains depends on the GPU's memory."""

    def step(seconds: float, script: str, *flags: str) -> Step:
        return Step((script, *flags), seconds)

    once = ("--repeats", "1")
    generate, attention = ("benchmarks/generate.py", *once), ("benchmarks/attention.py", *once)
    train = ("benchmarks/train.py", *once, "--keep-attention")
    eight = ("--backbone", "sd3", "--batch", "8")  # as in training
    sd3, flux = (*train, "--only-ours", *eight), (*train, "--only-ours", "--backbone", "flux")
    whole = (*flux, "--share", "1" if gpu_gb >= LARGE else "3", "--accumulate", "4")
    small = (*flux, "--optimizer", "adamw_8bit_bf16")  # whole on 80 GB: steps in the backward pass
    segment, latents = ("benchmarks/segment.py", "--variant"), ("benchmarks/latents.py", *once)
    cudnn, flash_3 = ("--attention", "cudnn"), ("--attention", "flash_3")
    compiled = (*cudnn, "--compile")
    return {
        # DeepSpeed's CPU Adam, which others find built then, takes a minute of it
        "machine": step(150, "benchmarks/machine.py"),
        "segment": step(150, *segment, "plain"),
        "train_sd3_cudnn": step(90, *sd3, *cudnn),
        "train_flux_80gb_cudnn": step(100, *small, *cudnn),
        "train_flux": step(150, *whole),
        "train_flux_cudnn": step(150, *whole, *cudnn),
        "generate_sd3_flash_3": step(120, *generate, "--backbone", "sd3", *flash_3),
        "vae": step(60, "benchmarks/vae.py", *once),
        "attention_flux": step(45, *attention, "--backbone", "flux"),
        "train_sd3": step(90, *sd3),
        "train_flux_80gb": step(100, *small),
        "train_sd3_compile": step(120, *sd3, *compiled),
        "train_flux_compile": step(180, *whole, *compiled),
        "train_sd3_released": step(180, *train, *eight),
        "generate_sd3": step(120, *generate, "--backbone", "sd3", "--attention", "native"),
        "generate_flux": step(180, *generate, "--backbone", "flux", "--attention", "native"),
        "between": step(75, "benchmarks/between.py", "--backbone", "sd3"),
        "miniature": step(480, "scripts/demo.py", *GPU_DEMO),
        "segment_offload": step(240, *segment, "offload"),
        "segment_deterministic": step(150, *segment, "deterministic"),
        "segment_8bit": step(150, *segment, "8bit"),
        "segment_bf16": step(150, *segment, "bf16"),
        "attention_sd3": step(45, *attention, "--backbone", "sd3"),
        "generate_flux_flash_3": step(180, *generate, "--backbone", "flux", *flash_3),
        "train_flux_80gb_compile": step(140, *small, *compiled),
        "train_sd3_deterministic": step(90, *sd3, "--deterministic"),
        "reconstruct": step(120, "benchmarks/reconstruct.py", "--whole"),
        "train_vae": step(60, "benchmarks/train_vae.py", *once),
        "latents_sd3": step(90, *latents, "--backbone", "sd3", "--images", "4"),
        "latents_flux": step(90, *latents, "--backbone", "flux", "--images", "4"),
        "metrics": step(240, "benchmarks/score.py", "--only-ours", "--images", "195"),
        "metrics_released": step(120, "benchmarks/score.py", *once, "--images", "6"),
    }
