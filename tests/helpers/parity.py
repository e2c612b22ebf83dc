"""One miniature batch, weights and draws, the same for our code and for the released code.

Weights come from numpy's frozen generator by the parameter's name, so that no version of torch or
diffusers changes them. `released.py` puts them through a checkout of the released code and writes
golden/released.safetensors; `test_parity.py` holds ours against that file.
"""

import contextlib
import zlib
from pathlib import Path
from unittest import mock

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
SINGLE = torch.float32  # also where `double` reigns
ZERO = 1e-10  # what float64 may leave of sums that cancel, relative to their terms


@contextlib.contextmanager
def double():
    """Whatever says float32 in here computes in float64, in the libraries too.

    What ours and the released statements make of a batch in float32 depends on the processor: a
    noise level's sinusoid alone turns the last digit of a frequency into 5e-5. In float64 all that
    is below the values' last digit in float32, as which they are kept.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with (
            mock.patch.object(torch, "float32", torch.float64),
            mock.patch.object(torch.Tensor, "float", torch.Tensor.double),
        ):
            yield
    finally:
        torch.set_default_dtype(before)


def kept(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As they stand in a golden file: float32, of no gradient."""
    return {name: v.detach().to(SINGLE).contiguous() for name, v in values.items()}


def assert_close(ours, golden: torch.Tensor, scale: float | None = None) -> None:
    """AssertionError unless float64 `ours` is what is kept, to float32's last digits.

    scale: the magnitude of the numbers that add up to these, by default their own largest.
    """
    scale = golden.abs().max().item() if scale is None else scale
    ours = torch.as_tensor(ours).to(SINGLE)
    torch.testing.assert_close(ours, golden, rtol=2**-22, atol=ZERO * scale)


def draw(name: str, *shape: int) -> torch.Tensor:
    """Standard normal, float32's numbers in the default dtype, a function of the name alone."""
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32)).to(torch.get_default_dtype())


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
