"""FLOPs of what the transformers are made of; a multiply-add counts as two."""

from diffusion4k.backbones.architecture import Config

TIME = 256  # width of the sinusoidal embedding of timesteps and guidance


def width_of(config: Config) -> int:
    """The width of a transformer's tokens."""
    return config["num_attention_heads"] * config["attention_head_dim"]


def attention(tokens: int, width: int) -> int:
    """One layer's full attention of so many tokens: the two products, 4 N^2 d."""
    return 4 * tokens**2 * width


def conditioning(width: int, pooled: int, embeddings: int) -> int:
    """Two-layer MLPs of timestep (and guidance) and of the pooled text; the last adaptive norm."""
    mlps = embeddings * (TIME + width) * width + (pooled + width) * width
    return 2 * (mlps + 2 * width**2)
