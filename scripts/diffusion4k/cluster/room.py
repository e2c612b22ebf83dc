"""How many bytes a configuration will write."""

from typing import Any

from diffusion4k import backbones

# float32 weights, AdamW's two moments, and the weights once more in the training's own precision
STATE = 16
ITEM = {"float32": 4, "bfloat16": 2, "float16": 2}


def needed(config: dict[str, Any]) -> dict[str, int]:
    """Bytes by stage, roughly and rather too many; downloads, which lie in HF_HOME, not counted."""
    return {
        "latents": _latents(config), "training": _training(config), "images": _images(config),
    }  # fmt: skip


def _latents(config: dict[str, Any]) -> int:
    latents = config["latents"]
    item, count = ITEM[latents["dtype"]], config["splits"][latents["split"]]["count"]
    tensors = 4 if config["train"]["flip_probability"] > 0 else 2  # mean, log-variance, flipped
    image = tensors * 16 * (latents["size"] // 16) ** 2 * item
    total = 0
    for name, backbone in config["backbones"].items():
        networks = backbones.get(name).architecture
        tokens = backbone["train"]["t5_tokens"] + networks.clip_tokens
        text = tokens * networks.transformer["joint_attention_dim"] * item
        total += count * latents["crops_per_image"] * (image + text)
    return total


def _training(config: dict[str, Any]) -> int:
    """Two checkpoints, the one being written, the segment before, those kept, the export.

    A miniature's weigh nothing.
    """
    copies = 4 + len(config["train"]["keep"])
    weights = [
        0 if "make" in config["sources"][config["backbones"][model["backbone"]]["source"]]
        else backbones.get(model["backbone"]).architecture.parameters
        for model in config["models"].values() if "recipe" in model
    ]  # fmt: skip
    return sum(copies * STATE * count + 2 * count for count in weights)


def _images(config: dict[str, Any]) -> int:
    """Two bytes a pixel."""
    pictures = [
        config["splits"][e["split"]]["count"] * e["size"] ** 2
        for e in config["evaluations"].values()
    ]
    return 2 * len(config["models"]) * sum(pictures)
