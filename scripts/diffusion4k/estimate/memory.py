"""How much memory one GPU needs for a stage's work, in GB, counted from the configuration.

Weights, gradients and optimizer states are arithmetic. Two constants are of measurements: what the
VAE's decoder takes is the part of the paper's Table 5 that weights do not explain (SD3 31.3 GB with
15.4 GB of weights in bfloat16, 16.1 GB offloaded), and what a block takes while it is recomputed is
counted by benchmarks/memory.py. Memory that allocators lose is not counted.
"""

import math

from diffusion4k import backbones
from diffusion4k.backbones.architecture import Architecture
from diffusion4k.config import training
from diffusion4k.config.resolve import Config
from diffusion4k.dag import draw
from diffusion4k.estimate import autoencoder, flops
from diffusion4k.estimate.basis import Key, architecture, backbone_of, narrower
from diffusion4k.estimate.cost import BYTES
from diffusion4k.shape import Size, sides

GB = 1e9
DECODE = 16.1 * GB / 4096**2  # bytes a pixel of a picture that the F16 decoder makes, in bfloat16
FACTOR = {8: 4.0, 16: 1.0}  # an F8 VAE works on maps of four times as many values
VGG16 = 14.7e6  # weights of LPIPS's network
# bytes a pixel of a micro-batch of its images, with gradient checkpointing and without
VAE_PIXEL = {True: 5524.0, False: 10532.0}
DISCRIMINATOR_PIXEL = 1036.0  # of the discriminator's own micro-batch, which comes after
LIVE = 32  # bytes a token and channel that are alive in one block, forward or recomputed


def of(config: Config, key: Key) -> float | None:
    """GB at the peak on one GPU; None for work that needs no GPU or that nobody has counted."""
    stage, name, *rest = key
    if stage == "train":
        return _train(config, name) / GB
    if stage == "train_vae":
        return _train_vae(config, name) / GB
    if stage == "latents":
        return _decode(config, config["latents"]["size"], 16) * config["latents"]["batch"] / GB
    if stage in ("reconstruct", "rebuild"):
        rows = config["figures"][name]["rows"] if stage == "rebuild" else [name]
        factor = min(config["vaes"][row].get("factor", 16) for row in rows)
        # float32, as the metrics are computed
        whole = 2 * _decode(config, config["reconstruction"]["size"], factor) / GB
        return None if config["reconstruction"]["vae_tiling"] else whole
    if stage == "generate":
        return _generated(config, name, config["evaluations"][rest[0]]["size"])
    if stage == "draw":
        sizes = draw.sizes(config, name)
        each = (_generated(config, r, s) for r in draw.sampled(config, name) for s in sizes)
        return max(filter(None, each), default=None)
    if stage == "efficiency":
        entry = config["efficiency"][name]
        return picture(
            config,
            entry["model"],
            config["evaluations"][rest[0]]["size"],
            offload=entry.get("offload", False),
            factor=entry.get("vae_factor", config["models"][entry["model"]].get("vae_factor", 16)),
        )
    return None


def _generated(config: Config, model: str, size: Size) -> float | None:
    """GB for a picture as `generate` sets it up; None where nobody knows the networks."""
    if not backbone_of(config, config["models"][model]):
        return None
    sampling = config["generate"]
    own = config["models"][model]
    return picture(
        config,
        model,
        size,
        offload=sampling["offload"],
        tiled=own.get("generate", {}).get("vae_tiling", sampling["vae_tiling"]),
        factor=own.get("vae_factor", 16),
    )


def host(config: Config, model: str) -> float:
    """GB of a node's own memory that a fine-tuning's weights and optimizer take, at the most.

    An offloaded optimizer has of each weight its master, its gradient and two moments, in float32.
    Without one, each process loads the weights there, beside the bfloat16 file that it reads them
    from (a save copies them once more, without the file), and when it resumes the states.
    """
    backbone = config["models"][model]["backbone"]
    train = training.for_backbone(config, backbone)
    count, gpus = architecture(config, backbone).parameters, max(train["gpus"], 1)
    if train["offload_optimizer"]:
        return 4 * 4 * count / train["nodes"] / GB
    low = train["zero_stage"] or train["optimizer"] == "adamw_8bit_bf16"
    # bitsandbytes copies the states that it is given; ZeRO's have a share of the masters with them
    states = _moments(train) * (1 if train["optimizer"] == "adamw" else 2)
    states = (4 + _moments(train)) / gpus if train["zero_stage"] else states
    return count * max((2 if low else 4) + 2, states) * gpus / train["nodes"] / GB


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
    beside = networks.beside * width
    if offload:
        return max(transformer + step, decode, beside) / GB
    return (transformer + beside + max(step, decode)) / GB


def _train(config: Config, model: str) -> float:
    """Bytes on each GPU: what the trainer's modes hold (docs/training.md), and activations."""
    backbone = config["models"][model]["backbone"]
    train, networks = training.for_backbone(config, backbone), architecture(config, backbone)
    count, gpus = networks.parameters, max(train["gpus"], 1)
    moments = _moments(train)
    if train["optimizer"] == "adamw_8bit_bf16":
        held = count * (2 + moments)  # no gradient outlives its step
    elif not train["zero_stage"]:
        held = count * (4 + 4 + moments)
    elif train["offload_optimizer"]:
        held = count * (2 + 2 / gpus)  # weights; gradients on their way to the CPU
    else:
        held = count * (2 + (4 + 4 + moments) / gpus)
    size, micro = config["latents"]["size"], train["micro_batch"]
    shape = networks.transformer
    layers = shape["num_layers"] + shape.get("num_single_layers", 0)
    tokens = _tokens(networks, size, train["t5_tokens"])
    block = _block(networks, size, train["t5_tokens"], 16)
    inputs = 2 * tokens * _width(networks)
    kept = layers * inputs if train["gradient_checkpointing"] else layers * block
    if train["gradient_checkpointing"] and train["keep_attention"]:
        kept += layers * inputs
    return held + micro * (kept + block)


def _moments(train: Config) -> float:
    """Bytes of an optimizer's two moments of a weight; of 8 bits, with a scale for 256 of them."""
    return 8 if train["optimizer"] == "adamw" else 2 + 8 / 256


def _train_vae(config: Config, vae: str) -> float:
    """Bytes on each GPU of the scale-consistent VAE's training.

    A pixel's are those of the real size with the encoder frozen, counted by benchmarks/train_vae.py
    --memory, in float32; most are VGG-16's maps, which mixed precision leaves there.
    """
    own, entry = config["vae_training"], config["vaes"][vae]
    recipe = config["vae_recipes"][entry["recipe"]]
    encoder, decoder = autoencoder.parameters(architecture(config, entry["backbone"]).vae)
    changing = decoder + (encoder if recipe["encoder"] == "trained" else 0)
    opponent = autoencoder.discriminator_parameters(
        own["discriminator_hidden"], own["discriminator_depth"]
    )
    # student, teacher and LPIPS; gradients and two moments, and the average
    held = 2 * (encoder + decoder) + VGG16 / narrower(config) ** 2 + 4 * opponent
    held += (4 if recipe["ema"] else 3) * changing
    shares = autoencoder.share_of_group(own), own["discriminator_batch"] // max(1, own["gpus"])
    of_decoder, of_opponent = (min(own["micro_batch"], share) for share in shares)
    a_pixel = max(
        of_decoder * VAE_PIXEL[own["gradient_checkpointing"]], of_opponent * DISCRIMINATOR_PIXEL
    )
    return 4 * held + a_pixel * own["size"] ** 2


def _width(networks: Architecture) -> int:
    return networks.transformer["num_attention_heads"] * networks.transformer["attention_head_dim"]


def _tokens(networks: Architecture, size: Size, t5_tokens: int, factor: int = 16) -> int:
    return flops.tokens(*sides(size), factor) + networks.clip_tokens + t5_tokens


def _block(networks: Architecture, size: Size, t5_tokens: int, factor: int) -> float:
    """Bytes alive in one block of the transformer, for one prediction."""
    return LIVE * _width(networks) * _tokens(networks, size, t5_tokens, factor)


def _decode(config: Config, size: Size, factor: int) -> float:
    return DECODE * FACTOR[factor] * math.prod(sides(size))
