"""The moving average of weights that a trained VAE is: train.autoencoder's, resumed with the rest.

diffusers' EMAModel gives the same values, but `diffusers.training_utils` imports every pipeline
that diffusers has: five seconds at the start of each job.
"""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """Exponential moving average with warm-up: after n updates the decay is (1 + n) / (10 + n).

    parameters: what is averaged, on their device; decay: the largest one, in (0, 1). The first
    update takes the parameters as they are. Registered with an Accelerator it is part of its
    checkpoints (`state_dict`, `load_state_dict`).
    """

    def __init__(self, parameters: Sequence[Tensor], decay: float):
        self.parameters, self.decay, self.updates = list(parameters), decay, 0
        self.values = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Take the parameters, as they are after an optimizer's step, into the average."""
        n = self.updates
        decay = min((1 + n) / (10 + n), self.decay) if n else 0.0
        get_ema_multi_avg_fn(decay)(self.values, self.parameters, None)
        self.updates += 1

    @torch.no_grad()
    def apply(self) -> None:
        """Make the parameters the average, for good."""
        torch._foreach_copy_(self.parameters, self.values)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Within, the parameters are the average; what they were, afterwards."""
        own = [parameter.detach().clone() for parameter in self.parameters]
        self.apply()
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self.parameters, own)

    def state_dict(self) -> dict:
        """{"updates": their number, "values": the tensors themselves, no copies}."""
        return {"updates": self.updates, "values": self.values}

    def load_state_dict(self, state: dict) -> None:
        """What `state_dict` gave, from any device; the values stay on their own."""
        self.updates = state["updates"]
        torch._foreach_copy_(self.values, state["values"])
