"""A process of several that sum a step's gradient under ZeRO-2; test_accumulation.py starts it.

    torchrun --standalone --nproc_per_node=2 tests/helpers/accumulation_ranks.py

A layer in bfloat16 sees 32 micro-batches on each rank; the first prints how far the gradient that
the optimizer gets is from the float32 mean of the micro-batches' gradients, relative to its norm.
"""

import torch
from deepspeed.utils import safe_get_full_grad

import tiny_training as training
from diffusion4k.train import launch

COUNT, RANKS, WIDTH = 32, 2, 64


def micro_batch(rank: int, index: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1000 * rank + index)
    return torch.randn(8, WIDTH, generator=generator).bfloat16()


def gradient(layer: torch.nn.Linear, x: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad(objective(layer, x), layer.weight)[0].float()


def objective(layer: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return (layer(x).float() - x.float().roll(1)).square().mean()


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layer = torch.nn.Linear(WIDTH, WIDTH, bias=False).bfloat16()
    each = [gradient(layer, micro_batch(r, i)) for r in range(RANKS) for i in range(COUNT)]
    expected = torch.stack(each).mean(0)

    settings = training.recipe(
        precision="bfloat16", zero_stage=2, micro_batch=1, global_batch=COUNT * RANKS
    )
    accelerator = launch.accelerator_for(settings, RANKS)
    model, _ = accelerator.prepare(layer, launch.optimizer_for(settings, layer.parameters()))
    step, got = model.step, []

    def stepping(*arguments, **options):
        if model.is_gradient_accumulation_boundary():
            got.append(safe_get_full_grad(model.module.weight))
        return step(*arguments, **options)

    model.step = stepping
    for index in range(COUNT):
        with accelerator.accumulate(model):
            accelerator.backward(objective(model, micro_batch(accelerator.process_index, index)))
    (found,) = got
    if accelerator.is_main_process:
        print("error", float((found - expected).norm() / expected.norm()), flush=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
