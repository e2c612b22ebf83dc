"""The backbones against diffusers' own pipelines and schedulers."""

import math

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline

import tiny
from diffusion4k import backbones
from diffusion4k.backbones import noise_levels
from diffusion4k.errors import UserError
from diffusion4k.vae.f16 import make_pipeline_f16

NAMES = backbones.NAMES
HEIGHT, WIDTH, TOKENS = 64, 96, 12
PROMPT = "a fox in the snow"


def f16_pipeline(name):
    shared = tiny.pipeline(name)
    pipeline = type(shared)(**shared.components | {"vae": tiny.vae()})
    pipeline.set_progress_bar_config(disable=True)
    return make_pipeline_f16(pipeline)


def unpack(latents):
    """Flux's packed (B, tokens, 64) => (B, 16, h, w); SD3's latents as they are."""
    if latents.ndim == 4:
        return latents
    return FluxPipeline._unpack_latents(latents, HEIGHT, WIDTH, vae_scale_factor=16)


class Wrapped(torch.nn.Module):
    """As DDP and DeepSpeed wrap a model: the call passes through, the attributes do not."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)


@pytest.mark.parametrize("wrap", [lambda t: t, Wrapped])
@pytest.mark.parametrize("name", NAMES)
def test_velocity_is_what_the_pipeline_steps_with(name, wrap):
    pipeline, backbone = f16_pipeline(name), backbones.get(name)
    calls, after = [], []
    hook = pipeline.transformer.register_forward_hook(
        lambda module, args, kwargs, output: calls.append((kwargs, output[0])), with_kwargs=True
    )
    guidance = 1.0 if name == "sd3" else 3.5  # SD3: no second, unconditional prediction
    pipeline(
        PROMPT,
        height=HEIGHT,
        width=WIDTH,
        num_inference_steps=3,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(5),
        output_type="latent",
        callback_on_step_end=lambda p, i, t, kw: after.append(kw["latents"]) or kw,
        **backbone.call_arguments(t5_tokens=TOKENS, negative_prompt=""),
    )
    hook.remove()
    text = backbone.encode_text(pipeline, [PROMPT], TOKENS, "cpu")[0]
    sigmas = pipeline.scheduler.sigmas
    for step, (kwargs, predicted) in enumerate(calls):
        noisy = unpack(kwargs["hidden_states"])
        assert noisy.shape == (1, 16, HEIGHT // 16, WIDTH // 16)
        with torch.no_grad():
            velocity = backbone.velocity(
                wrap(pipeline.transformer),
                noisy,
                sigmas[step : step + 1],
                text["prompt_embeds"][None],
                text["pooled"][None],
                guidance,
            )
        torch.testing.assert_close(velocity, unpack(predicted), rtol=1e-4, atol=1e-5)
        stepped = noisy + (sigmas[step + 1] - sigmas[step]) * velocity
        torch.testing.assert_close(stepped, unpack(after[step]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_velocity_of_a_batch_has_gradients(name):
    transformer, text = tiny.pipeline(name).transformer, torch.randn(2, TOKENS, tiny.T5_WIDTH)
    pooled = torch.randn(2, tiny.CLIP_WIDTH * (2 if name == "sd3" else 1))
    noisy = torch.randn(2, 16, 4, 6).transpose(2, 3).requires_grad_()  # not contiguous
    velocity = backbones.get(name).velocity(
        transformer, noisy, torch.tensor([0.2, 0.9]), text, pooled, 3.5
    )
    assert velocity.shape == noisy.shape
    (grad,) = torch.autograd.grad(velocity.square().sum(), noisy)
    assert grad.isfinite().all()


def test_flux_without_guidance_embedding():
    transformer = tiny.flux_transformer(guidance_embeds=False)
    inputs = (torch.randn(1, 16, 4, 4), torch.tensor([0.5]))
    text = (torch.randn(1, TOKENS, tiny.T5_WIDTH), torch.randn(1, tiny.CLIP_WIDTH))
    with torch.no_grad():
        low, high = (
            backbones.get("flux").velocity(transformer, *inputs, *text, g) for g in (1.0, 9.0)
        )
    torch.testing.assert_close(low, high, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_encode_text_is_the_pipelines_own(name):
    shared = tiny.pipeline(name)
    without = type(shared)(**shared.components | {"transformer": None})
    prompts = [PROMPT, "two words and some more that the encoders have to cut, since it is long"]
    actual = backbones.get(name).encode_text(without, prompts, TOKENS, "cpu")
    with torch.no_grad():
        if name == "sd3":
            embeds, _, pooled, _ = shared.encode_prompt(
                prompts, None, None, max_sequence_length=TOKENS
            )
        else:
            embeds, pooled, _ = shared.encode_prompt(prompts, max_sequence_length=TOKENS)
    tokens = TOKENS + (tiny.CLIP_TOKENS if name == "sd3" else 0)
    for i, text in enumerate(actual):
        assert text["prompt_embeds"].shape == (tokens, tiny.T5_WIDTH)
        assert not text["prompt_embeds"].requires_grad
        torch.testing.assert_close(text["prompt_embeds"], embeds[i], rtol=0, atol=0)
        torch.testing.assert_close(text["pooled"], pooled[i], rtol=0, atol=0)


def sigmas_of(name, u, **kwargs):
    defaults = {"image_tokens": 16384, "shifted": False, "schedule_shift": 3.0}
    return backbones.get(name).sigmas(torch.as_tensor(u), **defaults | kwargs)


def test_sigmas_are_the_schedulers():
    index = torch.arange(1000)
    u = (index + 0.5) / 1000
    shifted = FlowMatchEulerDiscreteScheduler(shift=3.0).sigmas
    plain = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True).sigmas
    torch.testing.assert_close(sigmas_of("sd3", u), shifted)
    torch.testing.assert_close(sigmas_of("flux", u), plain)


@pytest.mark.parametrize("name", NAMES)
def test_sigmas_stay_in_range_at_the_ends(name):
    sigma = sigmas_of(name, [0.0, 1.0 - 2**-24, 1.0])
    assert sigma.dtype == torch.float32
    assert sigma[0] == 1 and sigma[1] == sigma[2] and 0 < sigma[2] < 0.004


@pytest.mark.parametrize(("pixels", "factor"), [(2048 * 2048, 3.16), (3072 * 4096, 12.6)])
def test_dynamic_shift_is_flux_samplers(pixels, factor):
    tokens = pixels // 32**2
    assert noise_levels.dynamic_shift(tokens) == pytest.approx(factor, rel=0.005)
    u = torch.tensor([0.25, 0.75])
    scheduler = tiny.pipeline("flux").scheduler
    mu = math.log(noise_levels.dynamic_shift(tokens))
    expected = scheduler.time_shift(mu, 1.0, torch.tensor([0.75, 0.25]))
    for name in NAMES:
        actual = sigmas_of(name, u, shifted=True, image_tokens=tokens)
        torch.testing.assert_close(actual, expected)


def test_timestep_laws():
    def draws(name):
        generator = torch.Generator().manual_seed(1)
        return torch.tensor([backbones.get(name).draw_u(generator) for _ in range(4000)])

    normal, uniform = draws("sd3").logit(), draws("flux")
    assert abs(normal.mean()) < 0.06 and abs(normal.std() - 1) < 0.05
    assert abs(uniform.mean() - 0.5) < 0.02 and abs(uniform.std() - 12**-0.5) < 0.01
    torch.testing.assert_close(draws("sd3").logit(), normal)


@pytest.mark.parametrize("name", NAMES)
def test_normalise(name):
    z, backbone = torch.randn(1, 16, 2, 2), backbones.get(name)
    assert torch.equal(backbone.normalise(z, 1.5, 0.1, subtract_shift=False), z * 1.5)
    assert torch.equal(backbone.normalise(z, 1.5, 0.1, subtract_shift=True), (z - 0.1) * 1.5)


@pytest.mark.parametrize("name", NAMES)
def test_load_transformer(name, tmp_path):
    original = tiny.pipeline(name).transformer
    original.save_pretrained(tmp_path / "transformer")
    loaded = backbones.get(name).load_transformer(tmp_path, torch.bfloat16)
    assert loaded.dtype == torch.bfloat16 and type(loaded) is type(original)


def test_refusals():
    with pytest.raises(UserError, match="sd3, flux"):
        backbones.get("pixart")
    with pytest.raises(UserError, match="negative"):
        backbones.get("flux").call_arguments(t5_tokens=8, negative_prompt="blur")
