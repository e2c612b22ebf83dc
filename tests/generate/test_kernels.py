"""Text encoded ahead, kernels and compilation: the same picture, and said in the manifest."""

import logging
import os
import runpy
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers.models import attention_dispatch as dispatch
from diffusers.models.attention_dispatch import _AttentionBackendRegistry as registry
from torch.utils.flop_counter import FlopCounterMode

import tiny
from diffusion4k import backbones, manifest
from diffusion4k.data.captions import CaptionedImage
from diffusion4k.errors import UserError
from diffusion4k.generate import kernels, sampler
from diffusion4k.generate.folder import Folder
from diffusion4k.pipelines.attention import JointAttention, switch
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


@pytest.mark.parametrize("name", backbones.NAMES)
def test_a_kernel_that_is_not_there_is_silence_for_auto_and_a_line_by_name(name, caplog, capfd):
    made = pipeline(name)
    before = [type(module.processor) for module in attentions(made.transformer)]
    caplog.clear()
    capfd.readouterr()
    with caplog.at_level(logging.WARNING):
        used = kernels.prepare(made, attention="auto", compiled=False)
    assert used == {"attention": "native", "compile": False}
    assert not caplog.records and capfd.readouterr() == ("", "")
    with pytest.raises(UserError) as refused:
        kernels.prepare(made, attention="flash_3", compiled=False)
    line = str(refused.value)
    assert line.startswith("--attention flash_3 (generate.attention): _flash_3_hub: ")
    assert "`kernels`" in line and "choose native" in line and "\n" not in line
    assert [type(module.processor) for module in attentions(made.transformer)] == before


def test_a_pipeline_whose_attention_cannot_be_chosen_says_so():
    other = SimpleNamespace(transformer=torch.nn.Linear(1, 1))
    assert kernels.prepare(other, attention="auto", compiled=False)["attention"] == "native"
    with pytest.raises(UserError, match="this pipeline's attention cannot be chosen"):
        kernels.prepare(other, attention="flash_3", compiled=False)


def attentions(transformer):
    return [module for module in transformer.modules() if hasattr(module, "processor")]


@pytest.fixture
def there(monkeypatch):
    """Kernels that are there, by name => the shapes and dtypes that each was given."""
    seen = {}

    def make(*names: str, adds: float = 0.0) -> dict[str, list]:
        for name in names:
            backend = dispatch.AttentionBackendName(name)
            monkeypatch.setitem(
                registry._backends, backend, partial(attend, seen.setdefault(name, []), adds)
            )
            allowed = {"query", "key", "value"}
            monkeypatch.setitem(registry._supported_arg_names, backend, allowed)
        monkeypatch.setattr(dispatch, "_check_attention_backend_requirements", required)
        monkeypatch.setattr(dispatch, "_maybe_download_kernel_for_backend", lambda backend: None)
        return seen

    def required(backend):
        if backend.value not in seen:
            raise RuntimeError("not there")

    def attend(calls, adds, query, key, value):
        calls.append((tuple(query.shape), query.dtype))
        heads_first = (tensor.transpose(1, 2) for tensor in (query, key, value))
        found = torch.nn.functional.scaled_dot_product_attention(*heads_first)
        return found.transpose(1, 2) + adds

    return make


@pytest.mark.parametrize("asked", ["auto", "flash_3"])
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("_flash_3_hub", "_flash_3"), "_flash_3_hub"),
        (("_flash_3",), "_flash_3"),
        # cuDNN is torch's own choice already, FlashAttention 2 slower than it: neither is taken
        (("flash", "flash_hub", "_native_cudnn"), None),
    ],
)
def test_the_order_is_flash_attention_3_then_torchs_own(there, names, expected, asked):
    there(*names)
    made = pipeline("flux", torch.bfloat16)
    if expected is None and asked == "flash_3":
        with pytest.raises(UserError, match="_flash_3_hub: not there; _flash_3: not there"):
            kernels.prepare(made, attention=asked, compiled=False)
    else:
        used = kernels.prepare(made, attention=asked, compiled=False)
        assert used["attention"] == (expected or "native")


@pytest.mark.parametrize("name", backbones.NAMES)
def test_every_block_goes_through_the_chosen_kernel_and_the_picture_stays(there, name):
    seen = there("_flash_3_hub")["_flash_3_hub"]
    active = registry._active_backend
    made, backbone = pipeline(name), backbones.get(name)
    before = sampler.sample(made, backbone, "a fox", 0, SETTINGS)
    assert not seen
    kernels.prepare(made, attention="flash_3", compiled=False)
    seen.clear()  # of the trial
    after = sampler.sample(made, backbone, "a fox", 0, SETTINGS)
    assert np.array_equal(after, before)
    assert len(seen) == len(attentions(made.transformer)) * SETTINGS.steps
    heads = made.transformer.config.num_attention_heads
    assert {shape[2:] for shape, _ in seen} == {(heads, made.transformer.config.attention_head_dim)}
    assert registry._active_backend == active  # other networks compute as before


@pytest.mark.parametrize(("norm", "dual"), [(None, ()), ("rms_norm", (0,))])
def test_sd3s_own_processor_computes_what_diffusers_does(norm, dual):
    """Also with SD3.5's norms and second attention, and the last block's, which ends the text."""
    from diffusers import SD3Transformer2DModel

    torch.manual_seed(0)
    made = SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, num_layers=3, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=16, caption_projection_dim=16,
        pooled_projection_dim=8, out_channels=4, pos_embed_max_size=8, qk_norm=norm,
        dual_attention_layers=dual,
    )  # fmt: skip
    inputs = (torch.randn(2, 4, 8, 8), torch.randn(2, 5, 16), torch.randn(2, 8), torch.ones(2))

    def run():
        made.zero_grad()
        found = made(*inputs, return_dict=False)[0]
        found.square().mean().backward()
        return found, [parameter.grad for parameter in made.parameters()]

    expected, gradients = run()
    switch(made, "native")
    assert {type(module.processor) for module in attentions(made)} == {JointAttention}
    found, others = run()
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(others, gradients, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs)


def test_a_kernel_that_computes_something_else_is_passed_over(there):
    there("_flash_3", adds=1.0)
    chosen, reasons = kernels.choose(torch.device("cpu"), torch.float32, 64)
    assert (chosen, reasons[-1]) == ("native", "_flash_3: computes something else than torch")


def test_kernels_are_tried_where_the_transformer_will_compute_and_with_its_heads(monkeypatch):
    tried = []
    monkeypatch.setattr(kernels, "choose", lambda *how: tried.append(how) or ("native", []))
    # with offloading the transformer still lies in the CPU's memory then
    offloaded = SimpleNamespace(
        transformer=tiny.flux_transformer(), _execution_device=torch.device("cuda", 0)
    )
    kernels.prepare(offloaded, attention="auto", compiled=False)
    head = offloaded.transformer.config.attention_head_dim
    assert head != 64 and tried == [(torch.device("cuda", 0), torch.float32, head)]


def test_a_kernel_from_the_hub_is_recorded_by_its_commit(there, monkeypatch, tmp_path):
    there("_flash_3_hub")
    commit = "0123456789" * 4
    file = tmp_path / "snapshots" / commit / "build" / "kernel.py"
    file.parent.mkdir(parents=True)
    file.write_text("def attend(): pass\n", encoding="utf-8")
    module = runpy.run_path(str(file))
    entry = dispatch._HUB_KERNELS_REGISTRY[dispatch.AttentionBackendName._FLASH_3_HUB]
    monkeypatch.setattr(entry, "kernel_fn", module["attend"])
    used = kernels.prepare(pipeline("sd3"), attention="auto", compiled=False)
    assert used == {"attention": "_flash_3_hub", "kernel": commit, "compile": False}


def test_a_kernel_that_was_fetched_is_what_is_loaded_once_it_was_checked(
    there, monkeypatch, tmp_path
):
    there("_flash_3_hub")
    monkeypatch.delenv("LOCAL_KERNELS", raising=False)
    file = tmp_path / "build" / "torch-cuda" / "kernel.py"
    file.parent.mkdir(parents=True)
    file.write_text("def attend(): pass\n", encoding="utf-8")
    made = {"inputs": {}, "settings": {}, "results": {}, "started": 0.0}
    manifest.write(tmp_path / "kernel.json", root=tmp_path, files=[file], **made)
    fetched = manifest.read(tmp_path / "kernel.json")
    kernels.prepare(pipeline("sd3"), attention="flash_3", compiled=False, kernel=fetched)
    assert os.environ["LOCAL_KERNELS"] == f"kernels-community/flash-attn3={tmp_path}"
    file.write_text("def attend(): evil\n", encoding="utf-8")
    with pytest.raises(UserError, match="kernel.py"):
        kernels.prepare(pipeline("sd3"), attention="auto", compiled=False, kernel=fetched)


@pytest.mark.long
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
