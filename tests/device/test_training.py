"""A training step's forward pass on a GPU that is none, on the paper's networks at 4096 px."""

from types import SimpleNamespace

import pytest
import torch

from diffusion4k import backbones
from diffusion4k.backbones.flux import Flux
from diffusion4k.train import finetune, in_backward, samples, step
from diffusion4k.train.model import recompute
from diffusion4k.train.settings import CHOICES, Settings
from fake_gpu import fake_gpu, networks, without

LOW = torch.bfloat16
NAMES = pytest.mark.parametrize("name", backbones.NAMES)


def training(name: str, device, *, quick: bool, objective="wavelet_x0", online=False):
    """What `FineTuning.loss` reads of a training, under ZeRO-2 in bf16, and a batch on the CPU."""
    architecture, side = networks.architecture(name, quick=quick), 4 if quick else 256
    config, tokens = architecture.transformer, architecture.clip_tokens + (20 if quick else 77)
    model = networks.transformer(name, device, LOW, quick=quick).train()
    recompute(model, keep_attention=False)
    recipe = Settings(backbone=name, global_batch=2, micro_batch=2, objective=objective)
    made = SimpleNamespace(
        accelerator=SimpleNamespace(device=device),
        backbone=backbones.get(name),
        model=model,
        settings=recipe,
        header=samples.Header(name, 1.0, 0.0, side, side),
        schedule_shift=3.0,
        dtype=LOW,
        vae=networks.vae(name, device, LOW, quick=quick) if online else None,
    )
    batch = {
        "noise": torch.empty(2, 16, side, side),
        "u": torch.empty(2),
        "prompt_embeds": torch.empty(2, tokens, config["joint_attention_dim"], dtype=LOW),
        "pooled": torch.empty(2, config["pooled_projection_dim"], dtype=LOW),
    }
    if online:
        batch["pixels"] = torch.empty(2, 3, 16 * side, 16 * side, dtype=torch.uint8)
        batch["eps"] = torch.empty(2, 16, side, side)
    else:
        batch["z"] = torch.empty(2, 16, side, side)
    return made, batch


@pytest.mark.parametrize("quick", [True, False], ids=["small", "real"])
@pytest.mark.parametrize("online", [False, True], ids=["stored", "online"])
@NAMES
def test_the_loss_of_a_batch(name, online, quick):
    with fake_gpu() as device:
        made, batch = training(name, device, quick=quick, online=online)
        loss, shares = finetune.FineTuning.loss(made, batch)
    assert (loss.shape, loss.dtype, loss.device.type) == ((), torch.float32, "cuda")
    assert loss.requires_grad
    assert {share.device.type for share in shares.values()} == {"cuda"}


@pytest.mark.parametrize("objective", CHOICES["objective"])
def test_every_objective(objective):
    with fake_gpu() as device:
        made, batch = training("sd3", device, quick=True, objective=objective)
        assert finetune.FineTuning.loss(made, batch)[0].device.type == "cuda"


@NAMES
def test_a_batch_that_stays_behind_is_an_error(name):
    loss = without(finetune.FineTuning.loss, ".to(device, non_blocking=True)")
    with fake_gpu() as device:
        made, batch = training(name, device, quick=True)
        with pytest.raises(RuntimeError, match="device"):
            loss(made, batch)


@NAMES
def test_latents_in_another_precision_than_the_weights_are_an_error(monkeypatch, name):
    monkeypatch.setattr(step, "loss", without(step.loss, "noisy.to(dtype)", "noisy"))
    with fake_gpu() as device:
        made, batch = training(name, device, quick=True)
        with pytest.raises(RuntimeError, match="type"):
            finetune.FineTuning.loss(made, batch)


@pytest.mark.parametrize("forgotten", ["guidance, device=device", "3, device=device"])
def test_what_flux_makes_itself_lies_on_the_gpu(monkeypatch, forgotten):
    kept = forgotten.removesuffix(", device=device")
    monkeypatch.setattr(Flux, "velocity", without(Flux.velocity, forgotten, kept))
    with fake_gpu() as device:
        made, batch = training("flux", device, quick=True)
        with pytest.raises(RuntimeError, match="device"):
            finetune.FineTuning.loss(made, batch)


@pytest.fixture
def generators(monkeypatch):
    """On the CPU, as one on a GPU wants a driver; the devices that they were asked for on."""
    asked, make = [], torch.Generator

    def instead(device="cpu"):
        asked.append(torch.device(device).type)
        return make()

    monkeypatch.setattr(torch, "Generator", instead)
    return asked


def one_step(size: tuple[int, ...]):
    """The weight, the gradient's norm and the moments after a step inside the backward pass."""
    with fake_gpu() as device:
        weight = torch.nn.Parameter(torch.empty(size, dtype=LOW, device=device))
        optimizer = in_backward.AdamW8bitInBackward([weight], seed=0, lr=1e-3)
        weight.grad = torch.empty_like(weight)
        optimizer.step_one(weight, 0)
        return weight, optimizer.gradient_norm(), optimizer.state[weight]


@pytest.mark.parametrize("size", [(512, 512), (64,)], ids=["8-bit states", "float32 states"])
def test_a_step_inside_the_backward_pass_stays_on_the_gpu(generators, size):
    weight, norm, state = one_step(size)
    tensors = [value for value in state.values() if isinstance(value, torch.Tensor)]
    assert {t.device.type for t in (weight, norm, *tensors)} == {"cuda"}
    assert (weight.dtype, weight.grad) == (LOW, None)
    assert generators[-1] == "cuda"


def test_noise_that_stays_behind_is_an_error(monkeypatch, generators):
    rounded = without(in_backward.stochastically_rounded, ", device=values.device")
    monkeypatch.setattr(in_backward, "stochastically_rounded", rounded)
    with pytest.raises(RuntimeError, match="device"):
        one_step((64,))
