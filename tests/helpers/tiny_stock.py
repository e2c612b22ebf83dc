"""Miniature pipelines that this project has no adapter for, with random weights: PixArt-Sigma (T5,
AutoencoderKL with four channels) and Sana (Gemma, AutoencoderDC)."""

import functools

import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    SanaPipeline,
    SanaTransformer2DModel,
)
from transformers import Gemma2Config, Gemma2Model, GemmaTokenizer

import tiny


def pixart_transformer() -> PixArtTransformer2DModel:
    return PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        num_layers=1,
        cross_attention_dim=16,
        caption_channels=tiny.T5_WIDTH,
        sample_size=8,
        norm_type="ada_norm_single",
        use_additional_conditions=False,
    ).eval()


def pixart_vae() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 8, 8),
        norm_num_groups=2,
        latent_channels=4,
        sample_size=64,
    ).eval()


def sana_vae() -> AutoencoderDC:
    both = {"block_types": ("ResBlock", "EfficientViTBlock"), "block_out_channels": (8, 8)}
    both |= {"qkv_multiscales": ((), (5,)), "layers_per_block": (1, 1)}
    return AutoencoderDC(
        latent_channels=4,
        attention_head_dim=2,
        downsample_block_type="conv",
        **{
            f"{side}_{key}": value for side in ("encoder", "decoder") for key, value in both.items()
        },
    ).eval()


def gemma() -> tuple[GemmaTokenizer, Gemma2Model]:
    """A token a letter; the prompt's instructions make it long, so no limit on positions."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "▁", *map(chr, range(33, 127))]
    tokenizer = GemmaTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[])
    config = Gemma2Config(
        vocab_size=len(pieces),
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=4,
    )
    return tokenizer, Gemma2Model(config).eval()


@functools.cache
def pipeline(name: str):
    """The miniature pixart or sana. Shared by all tests: do not change."""
    torch.manual_seed(0)
    if name == "pixart":
        t5 = tiny.t5_tokenizer()
        return PixArtSigmaPipeline(
            tokenizer=t5,
            text_encoder=tiny.t5_encoder(t5),
            vae=pixart_vae(),
            transformer=pixart_transformer(),
            scheduler=DPMSolverMultistepScheduler(),
        )
    tokenizer, encoder = gemma()
    transformer = SanaTransformer2DModel(
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=4,
        num_cross_attention_heads=2,
        cross_attention_head_dim=4,
        cross_attention_dim=8,
        caption_channels=8,
        sample_size=32,
    )
    return SanaPipeline(
        tokenizer=tokenizer,
        text_encoder=encoder,
        vae=sana_vae(),
        transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
