"""How a training is carried out: deterministic kernels, the fused optimizer, what footers say."""

import contextlib
import copy
import os
import time

import pytest
import torch
import tqdm

import tiny
from diffusion4k import backbones, manifest, monitor
from diffusion4k.errors import UserError
from diffusion4k.train import launch
from diffusion4k.train.model import choose_attention
from tiny_training import job_for, make_inputs, recipe, train


@pytest.fixture(autouse=True)
def chosen_by_torch(monkeypatch, fresh_accelerator):
    """After a test that asks for deterministic kernels, too."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    yield
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return make_inputs(tmp_path_factory.mktemp("inputs"))


def test_a_start_that_was_made_again_with_its_bytes_keeps_the_checkpoints(inputs, tmp_path):
    """How long its steps took, which its bulk holds too, is no part of what was trained."""

    def key(weights: str, seconds: str) -> str:
        files = [tmp_path / "weights.txt", tmp_path / "loss.parquet"]
        for file, text in zip(files, (weights, seconds), strict=True):
            file.write_text(text, encoding="utf-8")
        made = {"root": tmp_path, "files": files, "inputs": {}, "settings": {}}
        start = tmp_path / "start.json"
        manifest.write(start, **made, started=time.time(), measured=files[1:])
        return job_for(inputs, tmp_path, start=start).key(recipe())

    assert key("a", "1.5") == key("a", "1.6") != key("b", "1.5")


def test_deterministic_kernels_are_asked_for_and_forgotten(inputs, tmp_path, monkeypatch):
    """Both backbones train by them (here a CPU's, which always are); the next training does not."""
    seen, ailment = [], monitor.ailment

    def looking(row, past):
        filled = torch.utils.deterministic.fill_uninitialized_memory
        asked = torch.are_deterministic_algorithms_enabled()
        workspace = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
        seen.append((asked, torch.backends.cudnn.deterministic, filled, workspace))
        return ailment(row, past)

    monkeypatch.setattr(monitor, "ailment", looking)
    for name in ("sd3", "flux"):
        job = job_for(inputs, tmp_path / f"{name}-exact", name, stop_step=2)
        exact = train(recipe(name, deterministic=True), job)
        assert set(seen) == {(True, True, False, ":4096:8")}
        seen.clear()
        usual = train(recipe(name), job_for(inputs, tmp_path / name, name, stop_step=2))
        assert {one[:3] for one in seen} == {(False, False, True)}
        seen.clear()
        assert all(torch.equal(exact[key], usual[key]) for key in usual)
        assert job.key(recipe(name, deterministic=True)) == job.key(recipe(name))


def test_cudnns_attention_is_left_out_unless_it_is_asked_for(inputs, tmp_path, monkeypatch):
    """Its backward pass reads outside its memory at the paper's shapes; the choice is no recipe."""
    seen, ailment = [], monitor.ailment

    def looking(row, past):
        seen.append(torch.backends.cuda.cudnn_sdp_enabled())
        return ailment(row, past)

    monkeypatch.setattr(monitor, "ailment", looking)
    torch.backends.cuda.enable_cudnn_sdp(True)
    job = job_for(inputs, tmp_path, stop_step=1)
    train(recipe(), job)
    assert seen == [False]
    bfloat16 = {"precision": "bfloat16"}
    own = recipe(attention="cudnn", **bfloat16)
    assert job.key(own) == job.key(recipe(**bfloat16))
    with pytest.raises(UserError, match="--attention cudnn: torch sees no GPU"):
        train(own, job_for(inputs, tmp_path / "own", stop_step=1))
    with pytest.raises(UserError, match="attention: cuDNN's takes no float32"):
        recipe(attention="cudnn")
    with pytest.raises(UserError, match="attention: cuDNN's is no deterministic kernel"):
        recipe(attention="cudnn", deterministic=True, **bfloat16)


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_cudnns_attention_gets_one_layout_of_all_blocks(name, monkeypatch):
    """Each head's tokens one after the other, as it takes them; gradients token by token, for
    PyTorch keeps its plan of the backward pass without asking how they lie. Here a CPU's kernel
    gets them instead. No gradient moves by more than rounding."""
    made = getattr(tiny, f"{name}_transformer")().train()
    other = copy.deepcopy(made)
    seen, attend = [], torch.nn.functional.scaled_dot_product_attention
    layouts = {id(made): set(), id(other): set()}

    def looking(*arguments, **options):
        tensors = arguments or [options[key] for key in ("query", "key", "value")]
        seen.append(all(tensor.is_contiguous() for tensor in tensors))
        mixed, of = attend(*arguments, **options), layouts[id(network)]
        mixed.register_hook(lambda gradient: of.add(gradient.stride()))
        return mixed

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", looking)
    monkeypatch.setattr(torch.nn.attention, "sdpa_kernel", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    choose_attention(made, "cudnn")
    text = (torch.randn(1, 12, 32), torch.randn(1, made.config.pooled_projection_dim))
    latents, t = torch.randn(1, 16, 8, 8), torch.tensor([0.5])
    for network in (made, other):
        velocity = backbones.get(name).velocity(network, latents, t, *text, 3.5)
        velocity.square().mean().backward()
    assert len(layouts[id(made)]) == 1
    assert len(layouts[id(other)]) == (2 if name == "flux" else 1), "needed no longer?"
    # diffusers' own processor of SD3 joins image and text in that order anyway
    assert seen == [True, True, name == "sd3", name == "sd3"]
    for one, two in zip(made.parameters(), other.parameters(), strict=True):
        if two.grad is not None:
            torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-7)


def test_a_resumed_trainings_rate_counts_no_step_of_before(monkeypatch):
    """A log said 22 steps a second of a training that went on from step 200 with two."""
    now = [100.0]
    monkeypatch.setattr(tqdm.std, "time", lambda: now[0])
    bar = monitor.bar(400, 200)
    bar.disable = False
    for _ in range(26):
        now[0] += 0.5
        bar.update()
    shown = bar.format_dict
    assert (shown["n"], shown["total"]) == (226, 400)
    assert shown["rate"] is None or shown["rate"] < 3
    assert "226/400" in str(bar) and "2.00 step/s" in str(bar)
    bar.close()


def test_on_a_gpu_adamw_is_fused_unless_it_is_offloaded(monkeypatch):
    weight = torch.nn.Parameter(torch.ones(2))
    assert not launch.optimizer_for(recipe(), [weight]).defaults["fused"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert launch.optimizer_for(recipe(), [weight]).defaults["fused"]
    offloaded = recipe(zero_stage=2, offload_optimizer=True)
    assert not launch.optimizer_for(offloaded, [weight]).defaults["fused"]


def test_the_notes_of_a_segment_are_those_of_what_it_rests_on(inputs, tmp_path, monkeypatch):
    """ZeRO with the optimizer offloaded adds up in bfloat16; a footer says so ever after."""
    from diffusion4k.train.finetune import FineTuning

    said = "sd3: gradients of micro-batches added up in bfloat16 (train.offload_optimizer)"

    class Accumulating:
        gradient_accumulation_steps = 2

    how = {"precision": "bfloat16", "zero_stage": 2, "offload_optimizer": True, "micro_batch": 2}
    for changes, expected in (({}, [said]), ({"offload_optimizer": False}, [])):
        task = FineTuning(recipe(**how | changes), None)
        task.accelerator = Accumulating()
        assert task.notes() == expected
    Accumulating.gradient_accumulation_steps = 1
    assert FineTuning.notes(task) == []

    first = job_for(inputs, tmp_path, stop_step=1)
    with monkeypatch.context() as patch:
        patch.setattr(FineTuning, "notes", lambda self: [said])
        train(recipe(), first)
    second = job_for(inputs, tmp_path, stop_step=2, start=first.output)
    train(recipe(), second)
    assert manifest.read(second.output).notes == ["random weights (test)", said]
