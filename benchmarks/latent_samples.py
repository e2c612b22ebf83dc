"""Random latent samples on disk, as scripts/latents.py leaves them."""

import time
from pathlib import Path

import torch

from diffusion4k import manifest
from diffusion4k.latents import store


def stored(root: Path, name: str, architecture, size: int, tokens: int, count: int) -> Path:
    """A manifest of `count` random latent samples as scripts/latents.py would leave them."""
    side, config, torch_dtype = size // 16, architecture.transformer, torch.bfloat16
    random = torch.Generator().manual_seed(0)
    text = (architecture.clip_tokens + tokens, config["joint_attention_dim"])
    shapes = dict.fromkeys(("mean", "logvar", "mean_flip", "logvar_flip"), (16, side, side))
    shapes |= {"prompt_embeds": text, "pooled": (config["pooled_projection_dim"],)}
    header = {"backbone": name, "vae_scaling_factor": "1.5305", "vae_shift_factor": "0.0609"}
    for index in range(count):
        tensors = {k: torch.randn(v, generator=random).to(torch_dtype) for k, v in shapes.items()}
        path = store.sample_path(root / "samples", str(index), 0)
        store.write_sample(path, tensors, header | {"id": str(index), "crop": "0"})
    files = list((root / "samples").iterdir())
    manifest.write(
        root / "latents.json", root=root, files=files, inputs={}, settings={}, started=time.time()
    )
    return root / "latents.json"
