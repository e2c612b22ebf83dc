"""Miniature pipelines, built from configs in a second: random weights, everything else as in SD3
and Flux (tokenizers, two or three text encoders, F8 VAE, transformer, scheduler)."""

import functools
import json
import string
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
)
from PIL import Image
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from diffusion4k import files, manifest

CLIP_WIDTH, T5_WIDTH, CLIP_TOKENS = 16, 32, 24
START, END = "<|startoftext|>", "<|endoftext|>"


def clip_tokenizer(pad: str = END) -> CLIPTokenizer:
    """Byte-level CLIP without merges: a token a letter."""
    letters = sorted(ByteLevel.alphabet())
    vocab = [*letters, *(f"{letter}</w>" for letter in letters), START, END]
    return CLIPTokenizer(
        vocab={token: i for i, token in enumerate(vocab)},
        merges=[],
        pad_token=pad,
        model_max_length=CLIP_TOKENS,
    )


def t5_tokenizer() -> T5TokenizerFast:
    """Unigram over single letters."""
    pieces = ["<pad>", "</s>", "<unk>", "▁", *string.ascii_letters, *string.digits, ".", ","]
    vocab = [(piece, 0.0 if i < 3 else -float(i)) for i, piece in enumerate(pieces)]
    return T5TokenizerFast(vocab=vocab, extra_ids=0, model_max_length=512)


def clip_encoder(model_class, tokenizer: CLIPTokenizer):
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=CLIP_WIDTH,
        intermediate_size=32,
        projection_dim=CLIP_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CLIP_TOKENS,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return model_class(config).eval()


def t5_encoder(tokenizer: T5TokenizerFast) -> T5EncoderModel:
    config = T5Config(
        vocab_size=len(tokenizer), d_model=T5_WIDTH, d_kv=8, d_ff=32, num_layers=2, num_heads=4
    )
    return T5EncoderModel(config).eval()


def vae(scaling: float = 1.5305, shift: float = 0.0609) -> AutoencoderKL:
    """An F8 VAE with 16 latent channels, as SD3's and Flux's."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 8, 8),
        norm_num_groups=2,
        latent_channels=16,
        sample_size=64,
        scaling_factor=scaling,
        shift_factor=shift,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()


def sd3_transformer() -> SD3Transformer2DModel:
    return SD3Transformer2DModel(
        sample_size=8,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        caption_projection_dim=32,
        pooled_projection_dim=2 * CLIP_WIDTH,
        pos_embed_max_size=8,
    ).eval()


def flux_transformer(guidance_embeds: bool = True) -> FluxTransformer2DModel:
    return FluxTransformer2DModel(
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=CLIP_WIDTH,
        guidance_embeds=guidance_embeds,
        axes_dims_rope=(4, 6, 6),
    ).eval()


@functools.cache
def pipeline(name: str):
    """The miniature sd3 or flux pipeline, its VAE plain F8. Shared by all tests: do not change."""
    torch.manual_seed(0)
    clip, t5 = clip_tokenizer(), t5_tokenizer()
    if name == "sd3":
        clip_2 = clip_tokenizer(pad="!")
        made = StableDiffusion3Pipeline(
            transformer=sd3_transformer(),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
            vae=vae(),
            text_encoder=clip_encoder(CLIPTextModelWithProjection, clip),
            tokenizer=clip,
            text_encoder_2=clip_encoder(CLIPTextModelWithProjection, clip_2),
            tokenizer_2=clip_2,
            text_encoder_3=t5_encoder(t5),
            tokenizer_3=t5,
        )
    else:
        made = FluxPipeline(
            transformer=flux_transformer(),
            scheduler=FlowMatchEulerDiscreteScheduler(
                shift=3.0,
                use_dynamic_shifting=True,
                base_shift=0.5,
                max_shift=1.15,
                base_image_seq_len=256,
                max_image_seq_len=4096,
            ),
            vae=vae(scaling=0.3611, shift=0.1159),
            text_encoder=clip_encoder(CLIPTextModel, clip),
            tokenizer=clip,
            text_encoder_2=t5_encoder(t5),
            tokenizer_2=t5,
        )
    made.set_progress_bar_config(disable=True)
    return made


def save_pipeline(name: str, root: Path) -> Path:
    """The miniature pipeline as root/<name>.json, a manifest, with the folder root/<name>/."""
    folder = root / name
    pipeline(name).save_pretrained(folder)
    return save_manifest(root / f"{name}.json", folder, notes=["random weights (test)"])


def save_dataset(root: Path, count: int = 4, folder: str = "train") -> Path:
    """A data set of `count` small random photographs with captions, as root/data.json."""
    where = root / "data" / folder
    where.mkdir(parents=True)
    generator = np.random.default_rng(0)
    lines = []
    for i in range(count):
        coarse = generator.integers(0, 256, (5, 6 + i, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((80 + 9 * i, 72), Image.Resampling.BICUBIC)
        image.save(where / f"photo_{i}.png")
        lines.append(json.dumps({"file_name": f"photo_{i}.png", "text": f"photograph number {i}"}))
    (where / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return save_manifest(root / "data.json", root / "data")


def save_manifest(path: Path, folder: Path, notes=(), results=None) -> Path:
    """A manifest of all files of `folder`."""
    manifest.write(
        path,
        root=folder,
        files=[p for p in folder.rglob("*") if p.is_file()],
        inputs={},
        settings={},
        results=results,
        started=time.time(),
        notes=notes,
    )
    return path


def listed(path: Path) -> manifest.Listed:
    """A file as a manifest would list it."""
    return manifest.Listed(path, path.stat().st_size, files.sha256(path), path.parent, False)
