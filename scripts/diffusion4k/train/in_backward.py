"""AdamW on weights that are bfloat16 alone, stepped inside the backward pass: the least memory.

Three known measures together, none of them of the paper's recipe:

- No float32 master weights. A step of 1e-6 is far below a bfloat16's last place, and rounded to the
  nearest the weight would stay where it is; so it is rounded up or down at random, such that the
  mean is the exact value (stochastic rounding; Zamirai et al. 2020, Revisiting BFloat16 Training).
- Both moments in 8 bits, by blocks of 256 (bitsandbytes; Dettmers et al. 2021).
- A weight's step is taken as soon as its gradient is whole, and the gradient is freed (Lv et al.
  2023, LOMO): there is never more than one layer's.

So there is nothing that several micro-batches or processes could be summed in, and the gradient's
norm is known only when all steps are taken: it is logged, and cannot be clipped at.
"""

import torch
from bitsandbytes.optim import AdamW8bit
from torch import Tensor

from diffusion4k.train import randomness

LOW_BITS = 1 << 16  # of a float32, the values that a bfloat16 has not


def stochastically_rounded(values: Tensor, generator: torch.Generator) -> Tensor:
    """float32 -> bfloat16 of the same shape: to one of the two neighbours, in the mean exact.

    What bfloat16 holds stays, infinity included, and NaN is NaN. The generator is on the values'
    device.
    """
    noise = torch.randint(
        LOW_BITS, values.shape, generator=generator, dtype=torch.int32, device=values.device
    )
    noise.mul_(values.isfinite())  # a NaN would be carried over to a number
    noise.add_(values.view(torch.int32)).bitwise_and_(-LOW_BITS)
    return noise.view(torch.float32).bfloat16()


class AdamW8bitInBackward(AdamW8bit):
    """bitsandbytes' AdamW8bit (moments of fewer than 4096 weights are float32) of bfloat16 weights.

    `backward()` is the whole step; `step()` finds no gradient left. What a weight is rounded by is
    a function of (seed, its steps so far, its place among the parameters), so that a resumed
    training rounds as an uninterrupted one does.
    """

    def __init__(self, parameters, *, seed: int, **options):
        super().__init__(parameters, **options)
        self._seed, self._norms = seed, []

    def attach(self) -> None:
        """Take the steps from now on; called once, when the weights lie where they are trained."""
        for place, parameter in enumerate(self.param_groups[0]["params"]):
            parameter.register_post_accumulate_grad_hook(
                lambda parameter, place=place: self.step_one(parameter, place)
            )

    @torch.no_grad()
    def step_one(self, parameter: Tensor, place: int) -> None:
        """Take the step of the parameter at `place`, and free its gradient."""
        (group,) = self.param_groups
        if not self.state[parameter]:
            self.init_state(group, parameter, 0, place)
        # in float32 for the time of one step, the library's own
        whole = torch.nn.Parameter(parameter.float())
        whole.grad, parameter.grad = parameter.grad.float(), None
        self._norms.append(torch.linalg.vector_norm(whole.grad))
        self.state[whole] = state = self.state[parameter]
        try:
            self.update_step(group, whole, 0, place)
        finally:
            del self.state[whole]
        whole.grad = None
        key = randomness.generator(self._seed, "rounding", state["step"], place).initial_seed()
        generator = torch.Generator(parameter.device).manual_seed(key)
        parameter.copy_(stochastically_rounded(whole, generator))

    def gradient_norm(self) -> Tensor:
        """Of the backward pass that has just ended, () float32: that of all gradients together."""
        norms, self._norms = self._norms, []
        return torch.linalg.vector_norm(torch.stack(norms))
