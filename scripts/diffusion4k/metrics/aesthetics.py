"""Aesthetics: LAION's improved aesthetic predictor, a score of about 1 to 10.

The embedding of OpenAI's CLIP ViT-L/14, scaled to unit length, goes through five linear layers
without activations (sac+logos+ava1-l14-linearMSE.pth).
"""

from pathlib import Path

import torch
from PIL import Image
from torch import nn

from diffusion4k.damage import loading
from diffusion4k.errors import UserError
from diffusion4k.metrics.clip import Clip

WIDTH = 768


class Aesthetics:
    """The head on top of a CLIP image encoder of width 768."""

    def __init__(self, clip: Clip, head: Path):
        self.clip = clip
        self.head = load_head(head).to(clip.device)

    @torch.inference_mode()
    def score(self, images: list[Image.Image]) -> list[float]:
        """RGB images => scores."""
        embeddings = self.clip.embed_images(images)
        if embeddings.shape[1] != WIDTH:
            raise UserError(
                f"the CLIP for Aesthetics embeds in {embeddings.shape[1]} dimensions, its head"
                f" needs {WIDTH}: give timm/vit_large_patch14_clip_224.openai"
            )
        return self.head(embeddings.float()).squeeze(-1).tolist()


def load_head(path: Path) -> nn.Module:
    """The linear head in evaluation mode (its dropouts off); (n, 768) => (n, 1).

    The file holds `layers.{0,2,4,6,7}.{weight,bias}`; UserError when it does not.
    """
    layers = nn.Sequential(
        nn.Linear(WIDTH, 1024),
        nn.Dropout(0.2),
        nn.Linear(1024, 128),
        nn.Dropout(0.2),
        nn.Linear(128, 64),
        nn.Dropout(0.1),
        nn.Linear(64, 16),
        nn.Linear(16, 1),
    )
    with loading(path, "LAION's linear aesthetics head"):
        nn.ModuleDict({"layers": layers}).load_state_dict(
            torch.load(path, map_location="cpu", weights_only=True)
        )
    return layers.eval().requires_grad_(False)
