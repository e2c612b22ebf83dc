"""Pictures as networks decode them to bytes: rounded where they lie, copied once."""

import numpy as np
import torch


def unit(decoded: torch.Tensor) -> torch.Tensor:
    """A VAE's output in [-1, 1], of any shape => float32 in [0, 1], clipped."""
    return (decoded.float() / 2 + 0.5).clamp(0, 1)


def to_bytes(picture: torch.Tensor) -> np.ndarray:
    """(3, H, W) finite, in [0, 1], of any floating dtype and device => uint8 (H, W, 3).

    Rounded to the nearest level and halves to the even one, bit for bit as diffusers' image
    processor does it with numpy on the CPU. From a GPU a byte a value is copied, once, into pinned
    memory, which torch keeps for the next picture.
    """
    levels = (picture.float() * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()
    if levels.device.type == "cpu":
        return levels.numpy()
    pinned = torch.empty(levels.shape, dtype=torch.uint8, pin_memory=torch.cuda.is_available())
    return pinned.copy_(levels).numpy()
