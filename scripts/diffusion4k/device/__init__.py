"""The device that networks run on."""

import re

import torch

from diffusion4k.errors import UserError


def choose(name: str) -> torch.device:
    """`auto` is the GPU when there is one; UserError for another name, or a GPU that is not there.

    The precision of float32 stays as torch has it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UserError(f"--device {name}: must be auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name != "cpu" and not count:
        raise UserError(f"--device {name}: torch sees no GPU here; use --device cpu")
    if int(name.partition(":")[2] or 0) >= max(count, 1):
        raise UserError(f"--device {name}: torch sees {count} GPUs here, counted from 0")
    return torch.device(name)


def choose_exact(name: str) -> torch.device:
    """`choose`, at full float32 precision: what a metric is measured with.

    TensorFloat-32 is switched off: it moves Inception features by 1e-3.
    """
    device = choose(name)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return device
