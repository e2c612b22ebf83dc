import copy

import numpy as np
import torch

from diffusion4k.train.average import Average


def walk(average: Average, updates: int, seed: int) -> list[np.ndarray]:
    """Updates after random steps; the first parameter's values, as NumPy's float64."""
    generator = torch.Generator().manual_seed(seed)
    seen = []
    for _ in range(updates):
        for parameter in average.parameters:
            parameter.data.add_(torch.randn(parameter.shape, generator=generator))
        average.update()
        seen.append(average.parameters[0].detach().numpy().astype(np.float64))
    return seen


def weights() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.zeros(shape)) for shape in ((3, 4), (5,))]


def test_the_decay_warms_up_to_its_limit():
    average = Average(weights(), decay=0.7)
    expected = None
    for n, values in enumerate(walk(average, 60, seed=0)):
        decay = min((1 + n) / (10 + n), 0.7)
        expected = values if n == 0 else decay * expected + (1 - decay) * values
    np.testing.assert_allclose(average.values[0].numpy(), expected, rtol=1e-5, atol=1e-6)
    assert (1 + 19) / (10 + 19) < 0.7 < (1 + 21) / (10 + 21)  # both were taken


def test_what_was_saved_goes_on_bit_for_bit():
    straight = Average(weights(), decay=0.9)
    walk(straight, 5, seed=0)
    resumed = Average([p.detach().clone().requires_grad_() for p in straight.parameters], 0.9)
    resumed.load_state_dict(copy.deepcopy(straight.state_dict()))
    for average in (straight, resumed):
        walk(average, 5, seed=1)
    assert all(map(torch.equal, straight.values, resumed.values))


def test_applied_for_a_while_and_for_good():
    average = Average(weights(), decay=0.9)
    walk(average, 9, seed=0)
    before = [parameter.detach().clone() for parameter in average.parameters]
    with average.applied():
        assert all(map(torch.equal, average.parameters, average.values))
    assert all(map(torch.equal, average.parameters, before))
    assert not torch.equal(before[0], average.values[0])
    average.apply()
    assert all(map(torch.equal, average.parameters, average.values))
