"""How much memory one GPU needs for a stage's work, in GB, counted from the configuration.

Weights, gradients and optimizer states are arithmetic. Two constants are of measurements: what the
VAE's decoder takes is the part of the paper's Table 5 that weights do not explain (SD3 31.3 GB with
15.4 GB of weights in bfloat16, 16.1 GB offloaded), and what a block takes while it is recomputed is
counted by benchmarks/memory.py. Memory that allocators lose is not counted.
"""

import math

from diffusion4k import backbones
from diffusion4k.backbones.architecture import Architecture
from diffusion4k.config.resolve import Config
from diffusion4k.estimate import flops
from diffusion4k.estimate.cost import BYTES, Key, architecture, backbone_of
from diffusion4k.shape import Size, sides

GB = 1e9
DECODE = 16.1 * GB / 4096**2  # bytes a pixel of a picture that the F16 decoder makes, in bfloat16
FACTOR = {8: 4.0, 16: 1.0}  # an F8 VAE works on maps of four times as many values
# text encoders and VAE, parameters: SD3's two CLIPs and T5-XXL, Flux's CLIP and T5-XXL
BESIDE = {"sd3": 5.6e9, "flux": 5.0e9}
LIVE = 32  # bytes a token and channel that are alive in one block, forward or recomputed


def of(config: Config, key: Key) -> float | None:
    """GB at the peak on one GPU; None for work that needs no GPU or that nobody has counted."""
    stage, name, *rest = key
    if stage == "train":
        return _train(config, name) / GB
    if stage == "latents":
        return _decode(config, config["latents"]["size"], 16) * config["latents"]["batch"] / GB
    if stage == "reconstruct":
        factor = config["vaes"][name].get("factor", 16)
        # float32, as the metrics are computed
        whole = 2 * _decode(config, config["reconstruction"]["size"], factor) / GB
        return None if config["reconstruction"]["vae_tiling"] else whole
    if stage == "generate" and backbone_of(config, config["models"][name]):
        size, sampling = config["evaluations"][rest[0]]["size"], config["generate"]
        tiled = config["models"][name].get("generate", {}).get("vae_tiling", sampling["vae_tiling"])
        return picture(config, name, size, offload=sampling["offload"], tiled=tiled)
    if stage == "efficiency":
        entry = config["efficiency"][name]
        return picture(
            config,
            entry["model"],
            config["evaluations"][rest[0]]["size"],
            offload=entry.get("offload", False),
            factor=entry.get("vae_factor", 16),
        )
    return None


def picture(
    config: Config,
    model: str,
    size: Size,
    *,
    offload: bool = False,
    tiled: bool = False,
    factor: int = 16,
) -> float:
    """GB for one picture of `size` px: the networks that are there, and the larger of a denoising
    step's maps and the decoder's. `offload`: one network at a time."""
    backbone = backbone_of(config, config["models"][model])
    networks, width = architecture(config, backbone), BYTES[config["generate"]["dtype"]]
    own = config["backbones"][backbone]["generate"] | config["models"][model].get("generate", {})
    pictures = backbones.get(backbone).predictions(own["guidance"])
    step = pictures * _block(networks, size, own["t5_tokens"], factor)
    decode = 0 if tiled else _decode(config, size, factor)
    transformer = networks.parameters * width
    beside = BESIDE.get(backbone, 0) * width if networks.parameters > 1e9 else 0
    if offload:
        return max(transformer + step, decode, beside) / GB
    return (transformer + beside + max(step, decode)) / GB


def _train(config: Config, model: str) -> float:
    """Bytes on each GPU: what the trainer's modes hold (docs/training.md), and activations."""
    backbone, train = config["models"][model]["backbone"], config["train"]
    own, networks = config["backbones"][backbone]["train"], architecture(config, backbone)
    count, gpus = networks.parameters, max(own["gpus"], 1)
    moments = 8 if train["optimizer"] == "adamw" else 2 + 8 / 256
    if train["optimizer"] == "adamw_8bit_bf16":
        held = count * (2 + moments)  # no gradient outlives its step
    elif not train["zero_stage"]:
        held = count * (4 + 4 + moments)
    elif train["offload_optimizer"]:
        held = count * (2 + 2 / gpus)  # weights; gradients on their way to the CPU
    else:
        held = count * (2 + (4 + 4 + moments) / gpus)
    size, micro = config["latents"]["size"], own["micro_batch"]
    shape = networks.transformer
    layers = shape["num_layers"] + shape.get("num_single_layers", 0)
    tokens = _tokens(networks, size, own["t5_tokens"])
    block = _block(networks, size, own["t5_tokens"], 16)
    inputs = 2 * tokens * _width(networks)
    kept = layers * inputs if train["gradient_checkpointing"] else layers * block
    if train["keep_attention"]:
        kept += layers * inputs
    return held + micro * (kept + block)


def _width(networks: Architecture) -> int:
    return networks.transformer["num_attention_heads"] * networks.transformer["attention_head_dim"]


def _tokens(networks: Architecture, size: Size, t5_tokens: int, factor: int = 16) -> int:
    return flops.tokens(*sides(size), factor) + networks.clip_tokens + t5_tokens


def _block(networks: Architecture, size: Size, t5_tokens: int, factor: int) -> float:
    """Bytes alive in one block of the transformer, for one prediction."""
    return LIVE * _width(networks) * _tokens(networks, size, t5_tokens, factor)


def _decode(config: Config, size: Size, factor: int) -> float:
    return DECODE * FACTOR[factor] * math.prod(sides(size))
