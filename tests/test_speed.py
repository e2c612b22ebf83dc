"""Text encoded ahead, kernels and compilation: the same picture, and said in the manifest."""

import numpy as np
import pytest
import torch
from diffusers.models.attention_dispatch import _AttentionBackendRegistry as registry

import tiny
from diffusion4k import backbones
from diffusion4k.errors import UserError
from diffusion4k.generate import sampler, speed
from diffusion4k.metadata import Sample
from diffusion4k.vae.f16 import make_pipeline_f16

SETTINGS = sampler.Settings(height=64, width=32, steps=2, guidance=4.0, t5_tokens=8)


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
    settings = sampler.Settings(height=64, width=32, steps=2, guidance=4.0, t5_tokens=8, **blurred)
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
    prompts = [Sample(str(i), tmp_path / "none", f"photograph {i}") for i in range(2)]
    made = sampler.sample_all(
        lambda: pipeline("flux"), backbones.get("flux"), prompts, sampler.Folder(tmp_path),
        settings=SETTINGS, seed_of=lambda id: 0, made_from=(),
    )  # fmt: skip
    assert [picture.path.stem for picture in made] == ["0", "1"]
    assert seen == [(None, None, ["pooled_prompt_embeds", "prompt_embeds"])] * 2


def test_no_kernel_that_does_not_run_here_is_chosen():
    made = pipeline("flux")
    used = speed.prepare(made, attention="auto", compiled=False)
    assert used == {"attention": "native", "compile": False}


@pytest.mark.parametrize(("name", "expected"), [("flux", "_native_math"), ("sd3", "native")])
def test_the_first_kernel_that_runs_is_taken_where_the_model_lets_one_choose(
    monkeypatch, name, expected
):
    monkeypatch.setattr(speed, "ORDER", ("flash", "_native_math", "native"))
    # diffusers makes a chosen kernel the default of the process: put it back afterwards
    monkeypatch.setattr(registry, "_active_backend", registry._active_backend)
    made, backbone = pipeline(name), backbones.get(name)
    before = sampler.sample(made, backbone, "a fox", 0, SETTINGS)
    assert speed.prepare(made, attention="auto", compiled=False)["attention"] == expected
    backends = {
        module.processor._attention_backend.value
        for module in made.transformer.modules()
        if getattr(getattr(module, "processor", None), "_attention_backend", None)
    }
    assert backends == ({expected} if name == "flux" else set())
    after = sampler.sample(made, backbone, "a fox", 0, SETTINGS)
    assert abs(after.astype(int) - before.astype(int)).max() <= 1


def test_a_kernel_that_computes_something_else_is_passed_over(monkeypatch):
    true = speed.dispatch_attention_fn

    def broken(*tensors, backend):
        found = true(*tensors, backend=backend)
        return found + 1 if backend.value == "_native_math" else found

    monkeypatch.setattr(speed, "dispatch_attention_fn", broken)
    monkeypatch.setattr(speed, "ORDER", ("_native_math",))
    assert speed.choose(torch.device("cpu"), torch.float32) == "native"


@pytest.mark.parametrize("name", backbones.NAMES)
def test_compilation_reaches_the_transformer_and_keeps_the_picture(name):
    made, backbone = pipeline(name), backbones.get(name)
    before = sampler.sample(made, backbone, "a fox", 0, SETTINGS)
    speed.prepare(made, attention="native", compiled=True)
    compiled = [m for m in made.transformer.modules() if m._compiled_call_impl is not None]
    assert len(compiled) == (2 if name == "flux" else 1)
    # without the compiler's backend, which takes a minute on a CPU
    with torch.compiler.set_stance("force_eager"):
        assert np.array_equal(sampler.sample(made, backbone, "a fox", 0, SETTINGS), before)


def test_nothing_to_compile_is_an_error():
    with pytest.raises(UserError, match="no transformer to compile"):
        speed.compile_transformer(None)
