"""What a machine has for the workflow: versions, memory, and whether each library really computes.

    python benchmarks/machine.py [--quick]

A row is one library: importing it and the least that needs what it brings compiled, such as a step
of the 8-bit optimizer on the GPU. What does not work is in `failed` with its reason.
"""

import importlib
import os
import shutil

import harness
import torch

LIBRARIES = (
    "diffusers", "transformers", "accelerate", "open_clip", "torch_fidelity", "lpips", "pywt",
    "numba", "snakemake",
)  # fmt: skip


def optimizer_8bit(device) -> None:
    """A step of bitsandbytes' AdamW on a parameter that is large enough for 8-bit states."""
    import bitsandbytes

    parameter = torch.nn.Parameter(torch.ones(128, 128, device=device))
    optimizer = bitsandbytes.optim.AdamW8bit([parameter], lr=0.1)
    parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert parameter.max().item() < 1, "the 8-bit optimizer moved nothing"


def optimizer_offloaded() -> None:
    """DeepSpeed's CPU Adam, built by g++ when it is used first."""
    from deepspeed.ops.adam import DeepSpeedCPUAdam

    parameter = torch.nn.Parameter(torch.ones(128))
    parameter.grad = torch.ones(128)
    DeepSpeedCPUAdam([parameter], lr=0.1).step()
    assert parameter.max().item() < 1, "DeepSpeed's CPU Adam moved nothing"


def compiled(device) -> None:
    """torch.compile, which wants a C compiler and, on a GPU, Triton."""
    twice = torch.compile(lambda x: (x * 2).relu())
    assert twice(torch.ones(4, device=device)).sum().item() == 8


def facts(device) -> dict:
    """GB of memory and disk, cores, and of a GPU its memory and the driver's CUDA."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    found = {
        "memory_gb": round(memory, 1),
        "disk_free_gb": round(shutil.disk_usage(harness.ROOT).free / 1e9, 1),
        "cores": len(os.sched_getaffinity(0)),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {
            "gpu_memory_gb": round(properties.total_memory / 1e9, 1),
            "capability": f"{properties.major}.{properties.minor}",
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return found


def main() -> None:
    args = harness.parser(__doc__).parse_args()
    device = harness.device(args)
    checks = {f"import {name}": lambda n=name: importlib.import_module(n) for name in LIBRARIES}
    checks["8-bit optimizer"] = lambda: optimizer_8bit(device)
    if not args.quick:  # minutes of a CPU
        checks["torch.compile"] = lambda: compiled(device)
        checks["offloaded optimizer"] = optimizer_offloaded  # the longest last
    report = harness.Report("machine", args, harness.device_name(device), **facts(device))
    for case, check in checks.items():
        try:
            row = harness.measure(check, device, repeats=1, warmup=0)
            report.add({"case": case, "side": "ours"} | row)
        except Exception as error:  # noqa: BLE001 (what is missing says so in its own way)
            report.fail(case, error)
    report.end()


if __name__ == "__main__":
    main()
