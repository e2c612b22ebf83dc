"""AdamW of bfloat16 weights inside the backward pass: its rounding, its steps, its memory."""

import math
import statistics

import pytest
import torch
from safetensors.torch import load_file

import tiny
from diffusion4k.errors import UserError
from diffusion4k.train import in_backward
from diffusion4k.train.in_backward import AdamW8bitInBackward, stochastically_rounded
from diffusion4k.train.model import recompute
from tiny_training import history, job_for, make_inputs, recipe, train

HOW = {"optimizer": "adamw_8bit_bf16", "clip": 0, "micro_batch": 4}
DRAWS = 40_000


pytestmark = pytest.mark.usefixtures("fresh_accelerator")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("value", [1.001, -1.001, 0.02 + 1e-6, 3e-39, 1 + 2**-23, 2 - 2**-20])
def test_rounding_goes_to_a_neighbour_and_is_unbiased(value):
    exact = torch.full((DRAWS,), value)
    rounded = stochastically_rounded(exact, generator()).double()
    truth = exact[0].double()
    bits = exact[:1].view(torch.int32) & -(1 << 16)
    inner, outer = ((bits + step).view(torch.float32).double().item() for step in (0, 1 << 16))
    assert set(rounded.unique().tolist()) <= {inner, outer}
    # the mean of so many draws lies within five of its own deviations, but for one in 2 million
    share = ((truth - inner) / (outer - inner)).item()
    deviation = abs(outer - inner) * math.sqrt(share * (1 - share) / DRAWS)
    assert abs(rounded.mean() - truth) <= 5 * deviation
    if 0.02 < share < 0.98:  # to the nearest it would be off by more
        assert abs(exact[0].bfloat16().double() - truth) > 5 * deviation


def test_what_bfloat16_holds_stays_and_so_does_what_is_no_number():
    torch.manual_seed(0)
    held = torch.cat([torch.randn(10_000), torch.tensor([0.0, -0.0, math.inf, -math.inf])])
    held = held.bfloat16().float()
    for seed in range(3):
        assert torch.equal(stochastically_rounded(held, generator(seed)).float(), held)
    odd = torch.tensor([0x7FFFFFFF, -1, 0x7FC00001], dtype=torch.int32).view(torch.float32)
    assert stochastically_rounded(odd, generator()).isnan().all()


def test_the_same_draws_round_alike_and_others_do_not():
    values = torch.full((1000,), 1.001)
    first, again, other = (stochastically_rounded(values, generator(s)) for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def network():
    """A transformer as it is trained: blocks recomputed, bfloat16."""
    torch.manual_seed(0)
    made = tiny.flux_transformer().bfloat16().train()
    recompute(made, keep_attention=False)
    return made


def backward(model) -> None:
    """A backward pass through all of a tiny Flux."""
    noise = generator()
    low = {"dtype": torch.bfloat16, "generator": noise}
    made = model(
        hidden_states=torch.randn(2, 16, 64, **low),
        encoder_hidden_states=torch.randn(2, 12, tiny.T5_WIDTH, **low),
        pooled_projections=torch.randn(2, tiny.CLIP_WIDTH, **low),
        timestep=torch.tensor([0.3, 0.7]),
        guidance=torch.full((2,), 3.5),
        img_ids=torch.zeros(16, 3),
        txt_ids=torch.zeros(12, 3),
        return_dict=False,
    )[0]
    made.float().square().mean().backward()


def test_stepping_inside_the_backward_pass_is_stepping_after_it():
    """No weight changes before what still needs it, recomputed blocks included: bit for bit."""
    inside, after = network(), network()
    optimizer = AdamW8bitInBackward(inside.parameters(), seed=5, lr=1e-2)
    optimizer.attach()
    later = AdamW8bitInBackward(after.parameters(), seed=5, lr=1e-2)
    for _ in range(3):
        backward(inside)
        backward(after)
        gradients = [p.grad for p in after.parameters() if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.cat([g.float().flatten() for g in gradients]))
        for place, parameter in enumerate(after.parameters()):
            if parameter.grad is not None:
                later.step_one(parameter, place)
        torch.testing.assert_close(optimizer.gradient_norm(), norm)
        assert all(p.grad is None for p in inside.parameters())
    for found, expected in zip(inside.parameters(), after.parameters(), strict=True):
        assert torch.equal(found, expected)
    assert {v["state1"].dtype for v in optimizer.state.values()} == {torch.uint8, torch.float32}


def test_never_more_than_one_layers_gradients_are_alive():
    """Counted at each step: the gradients that are there are of one layer."""
    model, counts, sizes = network(), [], []
    owners = {p: name.rpartition(".")[0] for name, p in model.named_parameters()}

    def count(parameter):
        alive = [p for p in owners if p.grad is not None]
        counts.append({owners[p] for p in alive})
        sizes.append(sum(p.numel() for p in alive))

    optimizer = AdamW8bitInBackward(model.parameters(), seed=0, lr=1e-2)
    for parameter in model.parameters():  # before each step
        parameter.register_post_accumulate_grad_hook(count)
    optimizer.attach()
    backward(model)
    assert len(counts) == len(optimizer.state) > 40
    assert all(len(layers) == 1 for layers in counts)
    assert max(sizes) == max(p.numel() for p in model.parameters())


def test_a_seed_of_its_own_a_step_and_a_weight():
    """Two weights that are alike, and one weight in two steps, are rounded by other draws."""
    weights = [torch.nn.Parameter(torch.ones(64, 64, dtype=torch.bfloat16)) for _ in "12"]
    optimizer = AdamW8bitInBackward(weights, seed=0, lr=1e-3, weight_decay=0)
    moved = []
    for _ in range(2):
        for place, weight in enumerate(weights):
            before = weight.detach().clone()
            weight.grad = torch.ones_like(weight)
            optimizer.step_one(weight, place)
            moved.append(before != weight)
    assert all(0.05 < m.float().mean() < 0.6 for m in moved)  # 1e-3 of places of 2^-8 and 2^-9
    assert not any(torch.equal(a, b) for i, a in enumerate(moved) for b in moved[:i])


def test_the_trainer_logs_the_norm_and_exports_what_it_trained(inputs, tmp_path):
    """In float32 too, without master weights: the same numbers."""
    settings = recipe("flux", **HOW)
    job = job_for(inputs, tmp_path, "flux", save_dtype="float32")
    state = train(settings, job)
    assert {value.dtype for value in state.values()} == {torch.bfloat16}
    exported = load_file(
        job.output.with_suffix("") / "transformer" / "diffusion_pytorch_model.safetensors"
    )
    assert {value.dtype for value in exported.values()} == {torch.float32}
    assert all(torch.equal(exported[name], state[name].float()) for name in state)
    assert all(row["gradient_norm"] > 0 for row in history(job.output))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clip": 1.0}, ["clip", "set clip: 0"]),
        ({"precision": "float32"}, ["precision", "bfloat16"]),
        ({"zero_stage": 2}, ["zero_stage", "DeepSpeed", "set zero_stage: 0"]),
        ({"zero_stage": 2, "offload_optimizer": True}, ["optimizer", "offload_optimizer: false"]),
    ],
)
def test_what_it_cannot_do_is_one_line(changes, words):
    with pytest.raises(UserError) as refused:
        recipe("flux", **HOW | changes)
    text = str(refused.value)
    assert "adamw_8bit_bf16" in text and "\n" not in text and all(word in text for word in words)


@pytest.mark.parametrize(("processes", "micro"), [(2, 2), (1, 2), (2, 4)])
def test_a_step_is_one_micro_batch_of_one_process(processes, micro):
    settings = recipe("flux", **HOW | {"micro_batch": micro})
    with pytest.raises(UserError, match="global_batch: adamw_8bit_bf16 .* set global_batch to mic"):
        settings.accumulation(processes)


def test_without_clipping_a_gradient_keeps_its_length(inputs, tmp_path):
    """`clip: 0` of the other optimizers: none, and not to nothing."""
    plain = recipe("sd3", clip=0)
    assert train(plain, job_for(inputs, tmp_path / "none", "sd3")).keys()
    free, high = history(tmp_path / "none" / "step-000006.json"), tmp_path / "high"
    train(recipe("sd3", clip=1e9), job_for(inputs, high, "sd3"))
    assert free == history(high / "step-000006.json")


def nearest(values, generator):
    return values.bfloat16()


def test_its_loss_is_that_of_float32_masters_and_rounding_to_the_nearest_stalls(
    inputs, tmp_path, monkeypatch
):
    """200 steps of a miniature on random latents, whose draws are the same on every side.

    Steps of 1e-4 for weights whose last place in bfloat16 is about 5e-4, AdamW of float32 states
    and master weights beside it. Windows of 50 steps, in units of the fall of the loss.
    """
    how = {"objective": "velocity", "learning_rate": 1e-4, "micro_batch": 4}
    how |= {"gradient_checkpointing": False}

    def curve(name: str, **changes) -> list[float]:
        where = {"stop_step": 200, "save_every": 200}
        job = job_for(inputs, tmp_path / name, "flux", **where)
        train(recipe("flux", **how | changes), job)
        losses = [row["loss"] for row in history(job.output)]
        return [statistics.fmean(losses[at : at + 50]) for at in range(0, 200, 50)]

    masters, ours = curve("masters"), curve("ours", **HOW)
    monkeypatch.setattr(in_backward, "stochastically_rounded", nearest)
    stalled = curve("nearest", **HOW)
    fall = masters[0] - masters[-1]
    assert fall > 0.1
    assert all(abs(a - b) < 0.05 * fall for a, b in zip(ours, masters, strict=True))
    assert stalled[-1] - masters[-1] > 0.4 * fall
