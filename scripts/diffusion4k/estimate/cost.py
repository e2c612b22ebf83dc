"""What each stage costs: jobs, pictures, arithmetic, disk, and what it waits for.

The one model of it, which `plan`, the doctor and the report share; from the configuration and the
FLOP model alone. What runs on CPU cores or waits for disks (checks, scores) has jobs and pictures,
but no arithmetic here.
"""

from collections.abc import Callable
from functools import partial

from diffusion4k import backbones
from diffusion4k.backbones.architecture import VAE
from diffusion4k.config.resolve import Config, origin
from diffusion4k.config.training import for_backbone
from diffusion4k.dag import latents as encoding
from diffusion4k.dag import metrics as scoring
from diffusion4k.dag import train as training
from diffusion4k.dag import vae as reconstructions
from diffusion4k.dag.generate import keeps_png
from diffusion4k.estimate import autoencoder, flops, shown
from diffusion4k.estimate.basis import (
    JPEG,
    Cost,
    Key,
    architecture,
    captions_of,
    convolutions,
    model_of,
    narrower,
    picture,
    px,
    split_of,
    vae_of,
)
from diffusion4k.metrics import families
from diffusion4k.sources.miniature import architectures as miniature

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# bytes a parameter: weights, their export, fp32 master weights, two moments
STATE = {"adamw": 2 + 2 + 4 + 8, "adamw_8bit": 2 + 2 + 4 + 2, "adamw_8bit_bf16": 2 + 2 + 2}
TIMED = 13  # denoising steps of scripts/efficiency.py
PNG = 1.5  # bytes of RGB over those of a lossless file


def check(config: Config, split: str) -> Cost:
    """The check of a split: every image decoded."""
    count, source = split_of(config, split)
    return Cost(("check", split), 1, count, needs=captions_of(config, split), sources=(source,))


def train_vae(config: Config, vae: str) -> Cost:
    """A VAE's training: all of its segments."""
    own, entry = config["vae_training"], config["vaes"][vae]
    backbone, chain = entry["backbone"], reconstructions.CHAIN
    recipe, network = config["vae_recipes"][entry["recipe"]], architecture(config, backbone).vae
    trained = recipe["encoder"] == "trained"
    step = autoencoder.step(
        network,
        own,
        form=entry.get("decoder", config["vae"]["decoder"]),
        adversarial=recipe["adversarial"] > 0,
        trained=trained,
        narrower=narrower(config),
    )
    state = autoencoder.state(network, own, trained=trained, average=recipe["ema"] > 0)
    _, source = split_of(config, own["split"])
    return Cost(
        ("train_vae", vae),
        jobs=len(chain.segments(config)),
        images=own["steps"] * own["decoder_batch"],
        flops=own["steps"] * step,
        gpus=own["gpus"],
        chain=True,
        gb=(len(chain.kept(config)) + 3) * state / 1e9,
        needs=(("check", own["split"]),),
        sources=(source, config["backbones"][backbone]["source"], "vgg16"),
        precision=convolutions(own["precision"]),
    )


def latents(config: Config, backbone: str) -> Cost:
    """The training set, encoded for a backbone."""
    latents, networks = config["latents"], architecture(config, backbone)
    count, source = split_of(config, latents["split"])
    shape, dtype = px(latents["size"]), BYTES[latents["dtype"]]
    crops = 0 if latents["mode"] == "online" else count * latents["crops_per_image"]
    pictures = crops * (2 if config["train"]["flip_probability"] > 0 else 1)
    tokens = config["backbones"][backbone]["train"]["t5_tokens"]
    text = (networks.clip_tokens + tokens) * networks.transformer["joint_attention_dim"]
    posterior = 2 * 16 * (shape["height"] // 16) * (shape["width"] // 16)
    other = config["backbones"][backbone].get("vae") if encoding.vae_of(config, backbone) else None
    needs, vaes = vae_of(config, other)
    return Cost(
        ("latents", backbone),
        jobs=latents["shards"],
        images=pictures,
        flops=pictures * flops.encode(networks.vae, **shape),
        gpus=1,
        gb=dtype * (pictures * posterior + max(crops, count) * text) / 1e9,
        needs=(("check", latents["split"]), *needs),
        sources=(source, config["backbones"][backbone]["source"], *vaes),
        precision=convolutions(latents["dtype"]),
    )


def train(config: Config, model: str) -> Cost:
    """A fine-tuning: all of its segments."""
    backbone, pixels = config["models"][model]["backbone"], px(config["latents"]["size"])
    train = for_backbone(config, backbone)
    networks, kind = architecture(config, backbone), backbones.get(backbone)
    shape = pixels | {"t5_tokens": train["t5_tokens"]}
    picture = flops.training(
        flops.forward(kind, networks, **shape),
        recompute=train["gradient_checkpointing"],
        kept=flops.attention(kind, networks, **shape) if train["keep_attention"] else 0,
    )
    if config["latents"]["mode"] == "online":
        picture += flops.encode(networks.vae, **pixels)
    images = train["steps"] * train["global_batch"]
    # at the peak (docs/training.md): what it began from, two checkpoints, a third half-written
    states = len(training.CHAIN.kept(config)) - 1 + 4
    return Cost(
        ("train", model),
        jobs=len(training.CHAIN.segments(config)),
        images=images,
        flops=images * picture,
        gpus=train["gpus"],
        chain=True,
        gb=states * STATE[train["optimizer"]] * networks.parameters / 1e9,
        needs=(("latents", backbone),),
        sources=(config["backbones"][backbone]["source"],),
    )


def reconstruct(config: Config, vae: str) -> Cost:
    """The photographs that a VAE encodes, decodes and is scored by."""
    settings, entry = config["reconstruction"], config["vaes"][vae]
    own = config["vae"] | {"factor": 16} | entry
    pipeline = entry.get("source") or config["backbones"][entry["backbone"]]["source"]
    network = miniature.VAE if origin(config["sources"][pipeline]) == "make" else VAE
    needs, sources_read = vae_of(config, vae)
    count, side = reconstructions.count(config, vae), settings["size"]
    shape = {"height": side, "width": side, "factor": own["factor"]}
    picture = flops.encode(network, **shape) + flops.decode(network, **shape, form=own["decoder"])
    _, source = split_of(config, entry["split"])
    return Cost(
        ("reconstruct", vae),
        jobs=settings["shards"],
        images=count,
        flops=count * picture,
        gpus=1,
        needs=(("check", entry["split"]), *needs),
        sources=(source, *sources_read, "inception", "vgg16"),
        precision=convolutions("float32", tf32=settings["tf32"]),
    )


def generate(config: Config, model: str, evaluation: str) -> Cost:
    """A model's pictures of an evaluation."""
    settings, entry = config["evaluations"][evaluation], config["models"][model]
    count, source = split_of(config, settings["split"])
    shape = px(settings["size"])
    raw = count * shape["height"] * shape["width"] * 3
    kept = 1 / JPEG + (1 / PNG if keeps_png(config["metrics"]["score_input"]) else 0)
    brought = "images" in entry
    needs, own = model_of(config, model)
    return Cost(
        ("generate", model, evaluation),
        jobs=1 if brought else settings["shards"],
        images=count,
        flops=count * picture(config, entry, shape),
        gpus=0 if brought else 1,
        gb=raw * kept / 1e9,
        needs=(*needs, *captions_of(config, settings["split"], model)),
        sources=(source, *own),
    )


def efficiency(config: Config, cost: str, evaluation: str) -> Cost:
    """What is timed of an entry of `efficiency`: one picture."""
    entry = config["efficiency"][cost]
    name = entry["model"]
    model, shape = config["models"][name], px(config["evaluations"][evaluation]["size"])
    timed = model | {"generate": model.get("generate", {}) | {"steps": TIMED}}
    timed |= {key: entry[key] for key in ("vae_factor",) if key in entry}
    needs, own = model_of(config, name)
    return Cost(
        ("efficiency", cost, evaluation),
        jobs=1,
        images=1,
        flops=picture(config, timed, shape),
        gpus=1,
        needs=needs,
        sources=own,
    )


def score(stage: str, config: Config, model: str, evaluation: str, *family: str) -> Cost:
    """The jobs of a scoring rule, or of its one family; of `reference`, the photographs."""
    settings = config["evaluations"][evaluation]
    count, source = split_of(config, settings["split"])
    drawn = () if model == "reference" else (("generate", model, evaluation),)
    read = (source, *scoring.networks(config, stage))
    key = (stage, model, evaluation, *family)
    return Cost(key, settings["shards"], count, needs=drawn, sources=read)


# in the order data flows
STAGES: dict[str, Callable[..., Cost]] = {
    "photographs": shown.photographs,
    "caption": shown.caption,
    "check": check,
    "train_vae": train_vae,
    "latents": latents,
    "train": train,
    "reconstruct": reconstruct,
    "generate": generate,
    "draw": shown.draw,
    "rebuild": shown.rebuild,
    "kit": shown.kit,
    "judge": shown.judge,
    "efficiency": efficiency,
} | {
    # the rules that score generated images
    stage: partial(score, stage)
    for stage in dict.fromkeys(families.get(name).stage for name in families.generated())
}


def of(config: Config, key: Key) -> Cost:
    """The cost of one key."""
    return STAGES[key[0]](config, *key[1:])
