"""Memory of a training step on one GPU, counted without one: figures of docs/training.md.

    python benchmarks/memory.py [--backbone sd3] [--size 4096] [--keep-attention] [--cache]

The trainer's step on the real network, on tensors without content (torch's fake ones) and with the
CPU's kernels: the most bytes that are alive in the second of two micro-batches, one image each,
when the gradients of the first are there. The 8-bit optimizer states are arithmetic. `--cache`:
with autocast's cache of weights, which the trainer turns off.
"""

import argparse
import sys
import weakref
from pathlib import Path

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

sys.path.append(str(Path(__file__).resolve().parent.parent / "scripts"))
import networks  # noqa: E402

from diffusion4k import backbones  # noqa: E402
from diffusion4k.train import model, samples, step  # noqa: E402
from diffusion4k.train.settings import Settings  # noqa: E402

STATES = 2 + 2 * 4 / 256  # bytes a parameter: two of 8 bits, a float32 scale for 256 of either


class Alive(TorchDispatchMode):
    """Counts the bytes of the tensors that are alive, and the most there were."""

    def __init__(self, tensors):
        super().__init__()
        self.now = self.peak = 0
        self.seen = weakref.WeakKeyDictionary()
        for tensor in tensors:
            self.count(tensor)

    def count(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self.seen:
            self.seen[storage] = True
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.free, storage.nbytes())

    def free(self, size: int) -> None:
        self.now -= size

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor):
                self.count(leaf)
        return made


def count(name: str, size: int, *, keep_attention: bool, cache: bool, quick: bool) -> dict:
    """GB of each part, and `peak`, of all of them."""
    architecture, side = networks.architecture(name, quick=quick), size // 16
    config, tokens = architecture.transformer, architecture.clip_tokens + (20 if quick else 77)
    recipe = Settings(backbone=name, global_batch=2, micro_batch=1, keep_attention=keep_attention)
    header = samples.Header(name, 1.0, 0.0, side, side)
    with FakeTensorMode():
        transformer = networks.transformer(name, "cpu", torch.float32, quick=quick).train()
        model.recompute(transformer, keep_attention=keep_attention)
        alive = Alive(transformer.parameters())
        weights = alive.now
        with alive:
            for _ in range(2):
                alive.peak = 0
                batch = {
                    "z": torch.randn(1, 16, side, side),
                    "noise": torch.randn(1, 16, side, side),
                    "u": torch.full((1,), 0.5),
                    "prompt_embeds": torch.randn(1, tokens, config["joint_attention_dim"]),
                    "pooled": torch.randn(1, config["pooled_projection_dim"]),
                }
                with torch.autocast("cpu", torch.bfloat16, cache_enabled=cache):
                    loss, _ = step.loss(
                        backbones.get(name), transformer, batch, recipe, header, 3.0, torch.float32
                    )
                kept = alive.now
                loss.backward()
                del loss
        gradients = sum(p.grad.untyped_storage().nbytes() for p in transformer.parameters())
    states = STATES * weights / 4
    parts = {"weights": weights, "gradients": gradients, "optimizer states": states}
    parts["kept for the backward pass"] = kept - weights - gradients
    parts["peak"] = alive.peak + states
    return {part: value / 1e9 for part, value in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", choices=backbones.NAMES, default="flux")
    parser.add_argument("--size", type=int, default=4096, help="px")
    parser.add_argument("--keep-attention", action="store_true", help="do not recompute it")
    parser.add_argument("--cache", action="store_true", help="with autocast's cache of weights")
    parser.add_argument("--quick", action="store_true", help="tiny, for a test")
    args = parser.parse_args()
    how = {"keep_attention": args.keep_attention, "cache": args.cache, "quick": args.quick}
    found = count(args.backbone, 64 if args.quick else args.size, **how)
    print("| part | GB |\n|---|---|")
    for part, size in found.items():
        print(f"| {part} | {size:.6f} |" if args.quick else f"| {part} | {size:.1f} |")


if __name__ == "__main__":
    main()
