"""CLIPScore: max(100 cos(image, prompt), 0), with the released and the proper truncation.

CLIP reads the text's embedding at its end token, which has the highest id. torchmetrics cuts
prompts beyond 77 tokens without putting an end token back, so the embedding is read wherever the
highest id happens to stand (torchmetrics issue 2883). `published` reproduces that; `with_end_token`
replaces the last token by the end token. Both are the same for shorter prompts.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from diffusion4k.damage import loading
from diffusion4k.errors import UserError

CONTEXT = 77  # tokens, start and end included
WIDTH = 512  # of ViT-B/16's embeddings, by which another CLIP is told from it


@dataclass(frozen=True)
class ClipScore:
    """One image's scores, 0 to 100, and the prompt's length in tokens before any truncation."""

    published: float
    with_end_token: float
    n_tokens: int


class Clip:
    """An open_clip model folder (open_clip_config.json, weights), offline, in float32.

    The folder's own configuration decides the architecture, QuickGELU included, and the
    preprocessing: OpenAI's, a bicubic resize of the shorter side and a centre crop; `prepare` maps
    that over the images, such as in a pool of threads.
    """

    def __init__(self, folder: Path, device: torch.device, *, prepare: Callable = map):
        if not (Path(folder) / "open_clip_config.json").is_file():
            raise UserError(
                f"{folder}: no open_clip_config.json; give a folder laid out like"
                " timm/vit_base_patch16_clip_224.openai"
            )
        import open_clip

        name = f"local-dir:{Path(folder).absolute()}"
        with loading(folder, "a model that open_clip can load"):
            self.model, self.preprocess = open_clip.create_model_from_pretrained(
                name, device=device
            )
            self.tokenizer = open_clip.get_tokenizer(name)
        self.tokenizer.clean_fn = clean
        self.model.eval().requires_grad_(False)
        self.device, self.prepare = device, prepare

    @torch.inference_mode()
    def embed_images(self, images: list[Image.Image]) -> torch.Tensor:
        """RGB images => (n, d) embeddings of unit length."""
        batch = torch.stack(list(self.prepare(self.preprocess, images)))
        return self.model.encode_image(batch.to(self.device), normalize=True)

    @torch.inference_mode()
    def embed_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """(n, context) ids => (n, d) embeddings of unit length."""
        return self.model.encode_text(tokens.to(self.device), normalize=True)

    def tokenize(self, prompts: list[str]) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        """Token ids (n, context) as published and with an end token, and lengths before the cut."""
        end = self.tokenizer(prompts)
        ids = [self.tokenizer.encode(prompt) for prompt in prompts]
        published = end.clone()
        for row, tokens in zip(published, ids, strict=True):
            if len(tokens) + 2 > len(row):
                row[1:] = torch.tensor(tokens[: len(row) - 1])
        return published, end, [len(tokens) + 2 for tokens in ids]

    def score(self, images: list[Image.Image], prompts: list[str]) -> list[ClipScore]:
        """CLIPScore of each image with its prompt; UserError when it is no ViT-B/16's."""
        seen = self.embed_images(images)
        if seen.shape[1] != WIDTH:
            raise UserError(
                f"the CLIP for CLIPScore embeds in {seen.shape[1]} dimensions, ViT-B/16 in {WIDTH}:"
                " give timm/vit_base_patch16_clip_224.openai"
            )
        published, end, lengths = self.tokenize(prompts)
        scores = [_cosines(seen, self.embed_tokens(tokens)) for tokens in (published, end)]
        return [ClipScore(*values) for values in zip(*scores, lengths, strict=True)]


def clean(prompt: str) -> str:
    """A prompt as transformers' CLIP tokenizer, which the release scores with, prepares it.

    open_clip's own straightens curly quotes, splits ligatures and resolves HTML besides: such a
    prompt would have other tokens, and other lengths.
    """
    plain = re.sub(r"\s+", " ", unicodedata.normalize("NFC", prompt))
    return "".join(map(str.lower, plain))  # letter by letter: no final sigma


def _cosines(a: torch.Tensor, b: torch.Tensor) -> list[float]:
    return np.maximum(100 * (a * b).sum(-1).cpu().numpy().astype(np.float64), 0).tolist()
