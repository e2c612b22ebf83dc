"""The device that networks run on, at full float32 precision."""

import torch

from diffusion4k.errors import UserError


def choose(name: str) -> torch.device:
    """`auto` is the GPU when there is one; UserError for a GPU that is not there.

    TensorFloat-32 is switched off: it moves Inception features by 1e-3.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device {name}: torch sees no GPU here; use --device cpu")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device(name)
