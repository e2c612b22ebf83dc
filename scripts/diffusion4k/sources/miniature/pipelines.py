"""Miniature SD3 and Flux pipelines in diffusers format: the real classes, a thousandth of the size.

The VAE is pretrained on the training photographs, as the real ones are pretrained on others; text
encoders and transformers are random. Fine-tuning the transformer is what the workflow does.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from torch import nn

from diffusion4k.sources.miniature import autoencoder, text_models
from diffusion4k.sources.miniature.architectures import CLIP_WIDTH, T5_WIDTH, grown
from diffusion4k.sources.miniature.photographs import PHOTOGRAPHS


def make(
    what: str, folder: Path, *, vae_steps: int, vae_size: int, size: int, seed: int, growth: int = 1
) -> dict[str, float]:
    """Write the pipeline `what`, a key of BUILDERS, below `folder`; returns the VAE's figures.

    vae_steps, vae_size: of pretraining, the latter the photographs' side in px; size: px, the side
    that the VAE's latent statistics are taken at; growth: of the transformer's width and depth.
    """
    vae, figures = autoencoder.pretrain(steps=vae_steps, photographs=vae_size, size=size, seed=seed)
    torch.manual_seed(seed)
    BUILDERS[what](vae, growth).save_pretrained(folder)
    return figures


def stable_diffusion_3(vae: AutoencoderKL, growth: int = 1) -> StableDiffusion3Pipeline:
    """Two CLIPs and T5, a transformer of two joint blocks, schedule shift 3."""
    texts = [caption for photograph in PHOTOGRAPHS for caption in photograph.captions]
    first, second = (text_models.clip_tokenizer(texts, pad=pad) for pad in (text_models.END, "!"))
    t5 = text_models.t5_tokenizer(texts)
    transformer = SD3Transformer2DModel(**grown("sd3", growth).transformer)
    return StableDiffusion3Pipeline(
        transformer=_initialise(transformer),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae,
        text_encoder=text_models.clip_text_model(first, width=CLIP_WIDTH, projection=True),
        tokenizer=first,
        text_encoder_2=text_models.clip_text_model(second, width=CLIP_WIDTH, projection=True),
        tokenizer_2=second,
        text_encoder_3=text_models.t5_model(t5, width=T5_WIDTH),
        tokenizer_3=t5,
    )


def flux(vae: AutoencoderKL, growth: int = 1) -> FluxPipeline:
    """CLIP's pooled vector and T5, one joint and one single block, distilled guidance."""
    texts = [caption for photograph in PHOTOGRAPHS for caption in photograph.captions]
    clip, t5 = text_models.clip_tokenizer(texts), text_models.t5_tokenizer(texts)
    transformer = FluxTransformer2DModel(**grown("flux", growth).transformer)
    return FluxPipeline(
        transformer=_initialise(transformer),
        scheduler=FlowMatchEulerDiscreteScheduler(
            shift=3.0,
            use_dynamic_shifting=True,
            base_shift=0.5,
            max_shift=1.15,
            base_image_seq_len=256,
            max_image_seq_len=4096,
        ),
        vae=vae,
        text_encoder=text_models.clip_text_model(clip, width=CLIP_WIDTH, projection=False),
        tokenizer=clip,
        text_encoder_2=text_models.t5_model(t5, width=T5_WIDTH),
        tokenizer_2=t5,
    )


BUILDERS: dict[str, Callable] = {"sd3": stable_diffusion_3, "flux": flux}


def _initialise(transformer: nn.Module) -> nn.Module:
    """Zero the last projection (DiT, section 3.2), which diffusers leaves random: quicker start."""
    nn.init.zeros_(transformer.proj_out.weight)
    nn.init.zeros_(transformer.proj_out.bias)
    return transformer
