"""Memory of a training step on one GPU, counted without one: figures of docs/training.md.

    python benchmarks/memory.py [--backbone sd3] [--size 4096] [--keep-attention] [--cache]
                                [--optimizer adamw_8bit_bf16] [--batch 1]

The trainer's step on the real network, on tensors without content (torch's fake ones) and with the
CPU's kernels: the most bytes that are alive in the second of two micro-batches, one image each,
when the gradients of the first are there. The 8-bit optimizer states are arithmetic. `--cache`:
with autocast's cache of weights, which the trainer turns off. With adamw_8bit_bf16, weights are
bfloat16, and the second backward pass takes the steps, which are counted as all else is.
"""

import argparse
import sys
import weakref
from pathlib import Path

import torch
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

sys.path.append(str(Path(__file__).resolve().parent.parent / "scripts"))
import networks  # noqa: E402

from diffusion4k import backbones  # noqa: E402
from diffusion4k.train import launch, model, samples, step  # noqa: E402
from diffusion4k.train.settings import CHOICES, Settings  # noqa: E402

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


def count(name: str, size: int, *, recipe: Settings, cache: bool, quick: bool) -> dict:
    """GB of each part, and `peak`, of all of them."""
    architecture, side = networks.architecture(name, quick=quick), size // 16
    config, tokens = architecture.transformer, architecture.clip_tokens + (20 if quick else 77)
    batch_size, dtype = recipe.micro_batch, torch.bfloat16 if recipe.in_backward else torch.float32
    header = samples.Header(name, 1.0, 0.0, side, side)
    with FakeTensorMode(allow_non_fake_inputs=True):
        transformer = networks.transformer(name, "cpu", dtype, quick=quick).train()
        model.recompute(transformer, keep_attention=recipe.keep_attention)
        with unset_fake_temporarily():  # its tables of 8-bit values are real
            optimizer = launch.optimizer_for(recipe, transformer.parameters())
        alive = Alive(transformer.parameters())
        weights = alive.now
        with alive:
            if recipe.in_backward:
                optimizer.attach()
            for _ in range(2):
                alive.peak, there = 0, alive.now
                batch = {
                    "z": torch.randn(batch_size, 16, side, side),
                    "noise": torch.randn(batch_size, 16, side, side),
                    "u": torch.full((batch_size,), 0.5),
                    "prompt_embeds": torch.randn(batch_size, tokens, config["joint_attention_dim"]),
                    "pooled": torch.randn(batch_size, config["pooled_projection_dim"]),
                }
                with torch.autocast("cpu", torch.bfloat16, cache_enabled=cache):
                    loss, _ = step.loss(
                        backbones.get(name), transformer, batch, recipe, header, 3.0, dtype
                    )
                kept = alive.now - there
                loss.backward()
                del loss
        left = [p.grad for p in transformer.parameters() if p.grad is not None]
        gradients = sum(gradient.untyped_storage().nbytes() for gradient in left)
    counted = there - weights if recipe.in_backward else 0  # the states, which the first step made
    states = counted or STATES * weights / 4
    parts = {"weights": weights, "gradients": gradients, "optimizer states": states}
    parts["kept for the backward pass"] = kept
    parts["peak"] = alive.peak + states - counted
    return {part: value / 1e9 for part, value in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", choices=backbones.NAMES, default="flux")
    parser.add_argument("--size", type=int, default=4096, help="px")
    parser.add_argument("--keep-attention", action="store_true", help="do not recompute it")
    parser.add_argument("--cache", action="store_true", help="with autocast's cache of weights")
    optimizers = [name for name in CHOICES["optimizer"] if name != "adamw"]
    parser.add_argument("--optimizer", choices=optimizers, default="adamw_8bit")
    parser.add_argument("--batch", type=int, default=1, help="images")
    parser.add_argument("--quick", action="store_true", help="tiny, for a test")
    args = parser.parse_args()
    recipe = Settings(
        backbone=args.backbone, global_batch=args.batch, micro_batch=args.batch,
        keep_attention=args.keep_attention, optimizer=args.optimizer, clip=0,
    )  # fmt: skip
    how = {"recipe": recipe, "cache": args.cache, "quick": args.quick}
    found = count(args.backbone, 64 if args.quick else args.size, **how)
    print("| part | GB |\n|---|---|")
    for part, size in found.items():
        print(f"| {part} | {size:.6f} |" if args.quick else f"| {part} | {size:.1f} |")


if __name__ == "__main__":
    main()
