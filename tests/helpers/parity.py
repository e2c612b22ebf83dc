"""One miniature batch, weights and draws, the same for our code and for the released code.

Weights come from numpy's frozen generator by the parameter's name, so that no version of torch or
diffusers changes them. `released.py` puts them through a checkout of the released code and writes
golden/released.safetensors; `test_parity.py` holds ours against that file.
"""

import zlib
from pathlib import Path

import numpy as np
import torch

import tiny

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "released.safetensors"
NAMES = ("sd3", "flux")
SIZE, TOKENS, STEPS = 128, 12, 3  # px, T5 tokens, sampler steps
PROMPT = "a fox in the snow"
GUIDANCE = {"sd3": 7.0, "flux": 3.5}
VAE = {"sd3": (1.5305, 0.0609), "flux": (0.3611, 0.1159)}
# one draw a picture, away from the edges of the schedule's 1000 entries
U = torch.tensor([0.31415, 0.87654])


def draw(name: str, *shape: int) -> torch.Tensor:
    """Standard normal float32, a function of the name alone."""
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32))


@torch.no_grad()
def fill(module: torch.nn.Module) -> torch.nn.Module:
    """Every parameter from its name: matrices of unit gain, vectors near one (norms) or zero."""
    for name, parameter in module.named_parameters():
        values = draw(name, *parameter.shape)
        if parameter.ndim > 1:
            values /= parameter[0].numel() ** 0.5
        elif name.endswith("norm.weight") or "norm" in name and name.endswith("weight"):
            values = 1 + 0.1 * values
        else:
            values *= 0.1
        parameter.copy_(values)
    return module


def transformer(name: str) -> torch.nn.Module:
    return fill({"sd3": tiny.sd3_transformer, "flux": tiny.flux_transformer}[name]())


def batch(name: str) -> dict[str, torch.Tensor]:
    """Pixels in [-1, 1], text, and the draws: the posterior's eps, the noise."""
    side = SIZE // 16
    pooled = tiny.CLIP_WIDTH * (2 if name == "sd3" else 1)
    return {
        "pixels": draw("pixels", 2, 3, SIZE, SIZE).tanh(),
        "eps": draw("eps", 2, 16, side, side),
        "noise": draw("noise", 2, 16, side, side),
        "u": U,
        "prompt_embeds": draw("prompt_embeds", 2, TOKENS, tiny.T5_WIDTH),
        "pooled": draw("pooled", 2, pooled),
    }


def pipeline(name: str):
    """A whole pipeline, F8 as loaded, every network filled."""
    shared = tiny.pipeline(name)
    own = {"transformer": transformer(name), "vae": fill(tiny.vae(*VAE[name]))}
    texts = {key: fill(value) for key, value in shared.components.items() if "text_encoder" in key}
    made = type(shared)(**shared.components | own | texts)
    made.set_progress_bar_config(disable=True)
    return made
