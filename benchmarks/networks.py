"""Whole pipelines with random weights: at their real size from the released configs, or miniature.

Random weights take the same time as trained ones; their pictures are noise.
"""

import contextlib
import dataclasses

import torch

from diffusion4k import backbones
from diffusion4k.backbones.architecture import Architecture
from diffusion4k.sources.miniature import architectures, autoencoder, pipelines

WORDS = ["a photograph of a coffee"]
# the released text encoders: CLIP ViT-L/14, OpenCLIP ViT-bigG/14, T5 v1.1 XXL
CLIP_L = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
CLIP_G = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
}
T5_XXL = {
    "d_model": 4096,
    "d_ff": 10240,
    "d_kv": 64,
    "num_heads": 64,
    "num_layers": 24,
    "vocab_size": 32128,
    "feed_forward_proj": "gated-gelu",
    "is_encoder_decoder": False,
    "use_cache": False,
}


def architecture(name: str, *, quick: bool, share: int = 1) -> Architecture:
    """A backbone's, or the miniature's; of its blocks one in `share`, at their full width."""
    whole = architectures.MINIATURE[name] if quick else backbones.get(name).architecture
    config = {
        key: max(value // share, 1) if key in ("num_layers", "num_single_layers") else value
        for key, value in whole.transformer.items()
    }
    return dataclasses.replace(whole, transformer=config, parameters=whole.parameters // share)


@contextlib.contextmanager
def built_on(device, dtype):
    """Modules made here are born on `device` in `dtype`; FLUX.1-dev in float32 would be 48 GB."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def transformer(name: str, device, dtype, *, quick: bool, share: int = 1) -> torch.nn.Module:
    """A backbone's transformer; `share` as in `architecture`."""
    import diffusers

    kind = getattr(diffusers, backbones.get(name).transformer_class)
    torch.manual_seed(0)
    with built_on(device, dtype):
        return kind(**architecture(name, quick=quick, share=share).transformer).eval()


def vae(name: str, device, dtype, *, quick: bool, factor: int = 16) -> torch.nn.Module:
    """The F16 VAE with the folded decoder, or as F8."""
    from diffusers import AutoencoderKL

    from diffusion4k.vae.f16 import make_f16

    torch.manual_seed(0)
    with built_on(device, dtype):
        made = AutoencoderKL(**architecture(name, quick=quick).vae)
    return (make_f16(made) if factor == 16 else made).eval().requires_grad_(False)


def pipeline(name: str, device, dtype, *, quick: bool, with_transformer: bool = True):
    """The F16 pipeline, text encoders included; tokenizers are the miniature's.

    Without its transformer, of the real size only, it encodes images and texts.
    """
    from diffusion4k.vae.f16 import make_pipeline_f16

    torch.manual_seed(0)
    small = autoencoder.build(256)
    small.register_to_config(scaling_factor=1.0, shift_factor=0.0)
    made = pipelines.BUILDERS[name](small).to(device, dtype)
    if not quick:
        full_size(name, made, device, dtype, with_transformer=with_transformer)
    made.set_progress_bar_config(disable=True)
    return make_pipeline_f16(made)


def full_size(name: str, made, device, dtype, *, with_transformer: bool = True) -> None:
    """Replace every network of a miniature pipeline by one of the released size."""
    from diffusers import AutoencoderKL
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        CLIPTextModelWithProjection,
        T5Config,
        T5EncoderModel,
    )

    def clip(kind, tokenizer, config: dict):
        tokenizer.model_max_length = 77
        names = ("bos_token_id", "eos_token_id", "pad_token_id")
        ids = {name: getattr(tokenizer, name) for name in names}
        return kind(CLIPTextConfig(vocab_size=49408, max_position_embeddings=77, **ids, **config))

    with built_on(device, dtype):
        parts = {"vae": AutoencoderKL(**backbones.get(name).architecture.vae)}
        if name == "sd3":
            parts["text_encoder"] = clip(CLIPTextModelWithProjection, made.tokenizer, CLIP_L)
            parts["text_encoder_2"] = clip(CLIPTextModelWithProjection, made.tokenizer_2, CLIP_G)
            parts["text_encoder_3"] = T5EncoderModel(T5Config(**T5_XXL))
        else:
            parts["text_encoder"] = clip(CLIPTextModel, made.tokenizer, CLIP_L)
            parts["text_encoder_2"] = T5EncoderModel(T5Config(**T5_XXL))
    if with_transformer:
        parts["transformer"] = transformer(name, device, dtype, quick=False)
    for module in parts.values():
        module.eval().requires_grad_(False)
    made.tokenizer_max_length = 77
    made.register_modules(**{"transformer": None} | parts)
