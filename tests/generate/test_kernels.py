"""Text encoded ahead, kernels and compilation: the same picture, and said in the manifest."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers.models.attention_dispatch import _AttentionBackendRegistry as registry
from torch.utils.flop_counter import FlopCounterMode

import tiny
from diffusion4k import backbones
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.errors import UserError
from diffusion4k.generate import kernels, sampler
from diffusion4k.generate.folder import Folder
from diffusion4k.pipelines.compilation import compile_transformer
from diffusion4k.train.model import recompute
from diffusion4k.vae.f16 import make_pipeline_f16

SETTINGS = sampler.SamplerSettings(height=64, width=32, steps=2, guidance=4.0, t5_tokens=8)


def pipeline(name: str, dtype=torch.float32):
    """A pipeline of its own, whose parts may be changed."""
    shared = tiny.pipeline(name)
    own = {"vae": tiny.vae(), "transformer": tiny.sd3_transformer()}
    if name == "flux":
        own["transformer"] = tiny.flux_transformer()
    made = make_pipeline_f16(type(shared)(**shared.components | own).to(dtype))
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.parametrize("name", backbones.NAMES)
def test_a_text_encoded_ahead_gives_the_very_same_picture(name):
    backbone, made = backbones.get(name), pipeline(name)
    blurred = {"negative_prompt": "blur"} if name == "sd3" else {}
    settings = sampler.SamplerSettings(
        height=64, width=32, steps=2, guidance=4.0, t5_tokens=8, **blurred
    )
    expected = sampler.sample(made, backbone, "a fox", 0, settings)
    first, second = sampler.encode(made, backbone, ["a fox", "a hare"], settings)
    sampler.drop_text_encoders(made)
    assert not [k for k, v in made.components.items() if k.startswith("text_encoder") and v]
    assert np.array_equal(sampler.sample(made, backbone, "", 0, settings, text=first), expected)
    other = sampler.sample(made, backbone, "", 0, settings, text=second)
    assert not np.array_equal(other, expected)


def test_a_data_sets_text_encoders_are_gone_before_its_first_picture(tmp_path, monkeypatch):
    seen, original = [], sampler.sample

    def watched(pipeline, *args, **kwargs):
        seen.append((pipeline.text_encoder, pipeline.text_encoder_2, sorted(kwargs["text"])))
        return original(pipeline, *args, **kwargs)

    monkeypatch.setattr(sampler, "sample", watched)
    prompts = [CaptionedImage(str(i), tmp_path / "none", f"photograph {i}") for i in range(2)]
    made = sampler.sample_all(
        lambda: pipeline("flux"), backbones.get("flux"), prompts, Folder(tmp_path),
        settings=SETTINGS, seed_of=lambda id: 0, made_from={},
    )  # fmt: skip
    assert [picture.path.stem for picture in made] == ["0", "1"]
    assert seen == [(None, None, ["pooled_prompt_embeds", "prompt_embeds"])] * 2


def test_no_kernel_that_does_not_run_here_is_chosen():
    made = pipeline("flux")
    used = kernels.prepare(made, attention="auto", compiled=False)
    assert used == {"attention": "native", "compile": False}


@pytest.mark.parametrize(("name", "expected"), [("flux", "_native_math"), ("sd3", "native")])
def test_the_first_kernel_that_runs_is_taken_where_the_model_lets_one_choose(
    monkeypatch, name, expected
):
    monkeypatch.setattr(kernels, "ORDER", ("flash", "_native_math", "native"))
    # diffusers makes a chosen kernel the default of the process: put it back afterwards
    monkeypatch.setattr(registry, "_active_backend", registry._active_backend)
    made, backbone = pipeline(name), backbones.get(name)
    before = sampler.sample(made, backbone, "a fox", 0, SETTINGS)
    assert kernels.prepare(made, attention="auto", compiled=False)["attention"] == expected
    backends = {
        module.processor._attention_backend.value
        for module in made.transformer.modules()
        if getattr(getattr(module, "processor", None), "_attention_backend", None)
    }
    assert backends == ({expected} if name == "flux" else set())
    after = sampler.sample(made, backbone, "a fox", 0, SETTINGS)
    assert abs(after.astype(int) - before.astype(int)).max() <= 1


def test_a_kernel_that_computes_something_else_is_passed_over(monkeypatch):
    true = kernels.dispatch_attention_fn

    def broken(*tensors, backend):
        found = true(*tensors, backend=backend)
        return found + 1 if backend.value == "_native_math" else found

    monkeypatch.setattr(kernels, "dispatch_attention_fn", broken)
    monkeypatch.setattr(kernels, "ORDER", ("_native_math",))
    assert kernels.choose(torch.device("cpu"), torch.float32, 64) == "native"


def test_kernels_are_tried_where_the_transformer_will_compute_and_with_its_heads(monkeypatch):
    tried = []
    monkeypatch.setattr(kernels, "choose", lambda *how: tried.append(how) or "native")
    # with offloading the transformer still lies in the CPU's memory then
    offloaded = SimpleNamespace(
        transformer=tiny.flux_transformer(), _execution_device=torch.device("cuda", 0)
    )
    kernels.prepare(offloaded, attention="auto", compiled=False)
    head = offloaded.transformer.config.attention_head_dim
    assert head != 64 and tried == [(torch.device("cuda", 0), torch.float32, head)]


@pytest.mark.parametrize("name", backbones.NAMES)
def test_compilation_reaches_the_transformer_and_keeps_the_picture(name):
    made, backbone = pipeline(name), backbones.get(name)
    before = sampler.sample(made, backbone, "a fox", 0, SETTINGS)
    kernels.prepare(made, attention="native", compiled=True)
    compiled = [m for m in made.transformer.modules() if m._compiled_call_impl is not None]
    assert len(compiled) == 2
    after = sampler.sample(made, backbone, "a fox", 0, SETTINGS)
    assert abs(after.astype(int) - before.astype(int)).max() <= 1


def test_nothing_to_compile_is_an_error():
    with pytest.raises(UserError, match="no transformer to compile"):
        compile_transformer(None)


@pytest.mark.parametrize("name", backbones.NAMES)
def test_keeping_attention_saves_arithmetic_and_moves_no_bit_of_a_gradient(name):
    gradients, counts = [], []
    for keep in (None, False, True):
        torch.manual_seed(0)
        transformer = pipeline(name).transformer.train()
        if keep is not None:
            recompute(transformer, keep_attention=keep)
        counter = FlopCounterMode(display=False)
        with counter:
            inputs = (torch.randn(1, 16, 8, 8), torch.tensor([0.5]), torch.randn(1, 12, 32))
            pooled = torch.randn(1, transformer.config.pooled_projection_dim)
            backbones.get(name).velocity(
                transformer, *inputs, pooled, 3.5
            ).square().mean().backward()
        gradients.append([parameter.grad for parameter in transformer.parameters()])
        counts.append(counter.get_flop_counts()["Global"])
    for others in gradients[1:]:
        assert all(a is b or torch.equal(a, b) for a, b in zip(gradients[0], others, strict=True))
    plain, full, selective = (sum(count.values()) for count in counts)
    assert plain < selective < full
    attention = [
        op for op in counts[0] if "scaled_dot_product" in str(op) and "backward" not in str(op)
    ]
    assert attention and all(counts[2][op] == counts[0][op] for op in attention)
