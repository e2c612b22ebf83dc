"""The F16 VAE: its three decoder forms against each other, its encoder forms, and diffusers."""

import pytest
import torch
from diffusers import AutoencoderKL

import rounding
import tiny
from diffusion4k.errors import UserError
from diffusion4k.vae.f16 import (
    UpsamplingConv,
    fold,
    folded,
    make_f16,
    make_pipeline_f16,
    partitioned,
    upsampled,
)

SHAPES = [(1, 5, 8, 8), (2, 3, 6, 10), (1, 4, 2, 4), (1, 2, 7, 5), (1, 3, 1, 1)]


def draw(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype)


def leaves(shape):
    x, weight, bias = draw(*shape), draw(3, shape[1], 3, 3, seed=1), draw(3, seed=2)
    return [tensor.requires_grad_() for tensor in (x, weight, bias)]


@pytest.mark.parametrize("shape", SHAPES)
def test_folded_is_upsampled_with_gradients(shape):
    inputs = leaves(shape)
    expected, actual = upsampled(*inputs), folded(*inputs)
    assert actual.shape == (shape[0], 3, 2 * shape[2], 2 * shape[3])
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    toward = draw(*expected.shape, seed=3)
    expected_grads = torch.autograd.grad(expected, inputs, toward)
    actual_grads = torch.autograd.grad(actual, inputs, toward)
    torch.testing.assert_close(actual_grads, expected_grads, rtol=1e-11, atol=1e-11)


def test_folded_without_bias_and_in_half_precision():
    x, weight = draw(1, 8, 6, 6, dtype=torch.float32), draw(3, 8, 3, 3, dtype=torch.float32)
    exact = upsampled(x, weight, None)
    rounding.assert_close(folded(x, weight, None), exact, terms=weight[0].numel())
    half = folded(x.bfloat16(), weight.bfloat16(), None)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=0.05, atol=0.2)


def test_fold_keeps_the_sum_of_the_taps():
    weight = draw(3, 5, 3, 3)
    sums = fold(weight).sum(dim=(-1, -2))
    torch.testing.assert_close(sums, weight.sum(dim=(-1, -2)).expand(2, 2, 3, 5))


@pytest.mark.parametrize("shape", [s for s in SHAPES if s[2] > 1])
def test_published_partition_is_shifted_by_one_pixel(shape):
    inputs = leaves(shape)
    exact, published = upsampled(*inputs), partitioned(*inputs)
    assert published.shape == exact.shape
    torch.testing.assert_close(published[:, :, 1:, 1:], exact[:, :, :-1, :-1])
    # the first row and column: the exact map, continued over the zeros beyond its edge
    x, weight, bias = inputs
    beyond = upsampled(torch.nn.functional.pad(x, (1, 1, 1, 1)), weight, bias)
    height, width = exact.shape[-2:]
    torch.testing.assert_close(published, beyond[:, :, 1 : 1 + height, 1 : 1 + width])


@pytest.mark.parametrize("decoder", ["folded", "upsample", "published"])
def test_vae_reconstructs_at_full_size_with_f16_latents(decoder):
    vae = make_f16(tiny.vae(), decoder=decoder)
    image = draw(1, 3, 64, 96, dtype=torch.float32)
    with torch.no_grad():
        latent = vae.encode(image).latent_dist.mean
        assert latent.shape == (1, 16, 4, 6)
        assert vae.decode(latent).sample.shape == image.shape


def test_decoder_equals_enlarging_before_the_normalised_activation():
    vae, reference = tiny.vae(), tiny.vae()
    reference.load_state_dict(vae.state_dict())
    latent = draw(1, 16, 4, 6, dtype=torch.float32)

    def enlarge(_module, inputs):
        return torch.nn.functional.interpolate(inputs[0], scale_factor=2, mode="nearest")

    reference.decoder.conv_act.register_forward_pre_hook(lambda m, i: (enlarge(m, i),))
    with torch.no_grad():
        expected = reference.decode(latent).sample
        actual = make_f16(vae).decode(latent).sample
    rounding.assert_close(actual, expected, rounding.terms(vae.decoder))


def test_strided_encoder_is_every_second_output_of_conv_in():
    plain, image = tiny.vae(), draw(1, 3, 32, 48, dtype=torch.float32)
    with torch.no_grad():
        expected = plain.encoder.conv_in(image)[:, :, ::2, ::2]
        actual = make_f16(plain, encoder="stride").encoder.conv_in(image)
    rounding.assert_close(actual, expected, rounding.terms(plain.encoder.conv_in))


def test_dilated_encoder_is_the_f8_encoder_on_every_second_pixel():
    vae, image = tiny.vae(), draw(1, 3, 64, 96, dtype=torch.float32)
    with torch.no_grad():
        expected = vae.encode(image[:, :, ::2, ::2]).latent_dist.parameters
        actual = make_f16(vae, encoder="dilation").encode(image).latent_dist.parameters
    rounding.assert_close(actual, expected, rounding.terms(vae.encoder))


def test_calling_it_again_changes_the_forms():
    vae = make_f16(make_f16(tiny.vae(), encoder="dilation", decoder="published"))
    conv_in, conv_out = vae.encoder.conv_in, vae.decoder.conv_out
    assert (conv_in.stride, conv_in.padding, conv_in.dilation) == ((2, 2), (1, 1), (1, 1))
    assert isinstance(conv_out, UpsamplingConv) and conv_out.form == "folded"


def test_weights_keep_their_names_and_identity(tmp_path):
    vae = tiny.vae()
    before = vae.state_dict()
    after = make_f16(vae).state_dict()
    assert {k: v.data_ptr() for k, v in after.items()} == {
        k: v.data_ptr() for k, v in before.items()
    }
    vae.save_pretrained(tmp_path)
    again = AutoencoderKL.from_pretrained(tmp_path)
    assert isinstance(again.decoder.conv_out, torch.nn.Conv2d)
    torch.testing.assert_close(again.state_dict(), before)


def test_tiling_works():
    vae = make_f16(tiny.vae())
    assert (vae.tile_sample_min_size, vae.tile_latent_min_size) == (64, 4)
    vae.enable_tiling()
    image = draw(1, 3, 160, 96, dtype=torch.float32)
    with torch.no_grad():
        latent = vae.encode(image).latent_dist.mean
        assert latent.shape == (1, 16, 10, 6)
        assert vae.decode(latent).sample.shape == image.shape


@pytest.mark.parametrize(("name", "factor"), [("sd3", 16), ("flux", 32)])
def test_pipeline_learns_the_factor(name, factor):
    shared = tiny.pipeline(name)
    pipeline = type(shared)(**shared.components | {"vae": tiny.vae()})
    for _ in range(2):
        make_pipeline_f16(pipeline, decoder="published")
        assert pipeline.vae_scale_factor == 16
        assert pipeline.image_processor.config.vae_scale_factor == factor


@pytest.mark.parametrize("forms", [{"encoder": "sideways"}, {"decoder": "exact"}])
def test_unknown_forms_are_refused(forms):
    with pytest.raises(UserError, match="choose from"):
        make_f16(tiny.vae(), **forms)
