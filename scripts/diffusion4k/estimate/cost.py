"""What each stage costs: jobs, pictures, arithmetic, disk, and what it waits for.

The one model of it, which `plan`, the doctor and the report share; from the configuration and the
FLOP model alone. What runs on CPU cores or waits for disks (checks, scores) has jobs and pictures,
but no arithmetic here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from diffusion4k import backbones
from diffusion4k.backbones.architecture import VAE, Architecture
from diffusion4k.config.resolve import Config, origin
from diffusion4k.dag import latents as encoding
from diffusion4k.dag import metrics as scoring
from diffusion4k.dag import sources
from diffusion4k.dag import train as training
from diffusion4k.dag import vae as reconstructions
from diffusion4k.dag.generate import keeps_png
from diffusion4k.estimate import autoencoder, flops, repositories
from diffusion4k.metrics import families
from diffusion4k.shape import Size, sides
from diffusion4k.sources.miniature import architectures as miniature

Key = tuple[str, ...]  # (stage, backbone or model or split[, evaluation])

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# bytes a parameter: weights, their export, fp32 master weights, two moments
STATE = {"adamw": 2 + 2 + 4 + 8, "adamw_8bit": 2 + 2 + 4 + 2, "adamw_8bit_bf16": 2 + 2 + 2}
# bytes of a VAE's state: 83.8 M weights, of its decoder's 49.5 M and the discriminator's 6.3 M two
# moments each, the average, and the result
VAE_STATE = 4 * (83.8e6 + 2 * 49.5e6 + 3 * 6.3e6 + 49.5e6 + 83.8e6)
TIMED = 13  # denoising steps of scripts/efficiency.py
JPEG = 11  # the paper's Compression Ratio, about: bytes of RGB over those of the JPEG
PNG = 1.5  # the same of a lossless one


@dataclass(frozen=True)
class Cost:
    """The jobs of one stage for one model: `flops` and `images` of all, `gpus` of each job."""

    key: Key
    jobs: int
    images: int
    flops: float = 0.0  # 0: not modelled
    gpus: int = 0
    chain: bool = False  # its jobs come one after another
    gb: float = 0.0
    needs: tuple[Key, ...] = ()
    sources: tuple[str, ...] = ()

    def gpu_hours(self, tflops: float) -> float:
        return self.flops / (tflops * 1e12) / 3600

    def wall_hours(self, tflops: float) -> float:
        """With a GPU for every job that can run."""
        return self.gpu_hours(tflops) / max(1, self.gpus) / (1 if self.chain else self.jobs)


def architecture(config: Config, backbone: str) -> Architecture:
    """The released networks, or the miniature's, if any, where the source is made here."""
    source = config["sources"][config["backbones"][backbone]["source"]]
    released = backbones.get(backbone).architecture
    if origin(source) == "make" and backbone in miniature.MINIATURE:
        return miniature.grown(backbone, source.get("options", {}).get("growth", 1))
    return released


def _split(config: Config, name: str) -> tuple[int, str]:
    """Images, 0 where nobody knows, and source."""
    split = config["splits"][name]
    return split.get("count", 0), split["source"]


def _vae(config: Config, name: str | None) -> tuple[tuple[Key, ...], tuple[str, ...]]:
    """What a job that uses one of `vaes` waits for, and its source."""
    if name is None:
        return (), ()
    entry = config["vaes"][name]
    if "source" in entry:
        return (), (entry["source"],)
    return (("train_vae", reconstructions.same(config, name)),), ()


def _shape(size: Size) -> dict[str, int]:
    return dict(zip(("height", "width"), sides(size), strict=True))


def check(config: Config, split: str) -> Cost:
    count, source = _split(config, split)
    return Cost(("check", split), 1, count, sources=(source,))


def train_vae(config: Config, vae: str) -> Cost:
    own, entry = config["vae_training"], config["vaes"][vae]
    backbone, chain = entry["backbone"], reconstructions.CHAIN
    step = autoencoder.step(
        architecture(config, backbone).vae,
        own,
        form=entry.get("decoder", config["vae"]["decoder"]),
        adversarial=config["vae_recipes"][entry["recipe"]]["adversarial"] > 0,
    )
    _, source = _split(config, own["split"])
    return Cost(
        ("train_vae", vae),
        jobs=len(chain.segments(config)),
        images=own["steps"] * own["decoder_batch"],
        flops=own["steps"] * step,
        gpus=own["gpus"],
        chain=True,
        gb=(len(chain.kept(config)) + 3) * VAE_STATE / 1e9,
        needs=(("check", own["split"]),),
        sources=(source, config["backbones"][backbone]["source"], "vgg16"),
    )


def latents(config: Config, backbone: str) -> Cost:
    latents, networks = config["latents"], architecture(config, backbone)
    count, source = _split(config, latents["split"])
    shape, dtype = _shape(latents["size"]), BYTES[latents["dtype"]]
    crops = 0 if latents["mode"] == "online" else count * latents["crops_per_image"]
    pictures = crops * (2 if config["train"]["flip_probability"] > 0 else 1)
    tokens = config["backbones"][backbone]["train"]["t5_tokens"]
    text = (networks.clip_tokens + tokens) * networks.transformer["joint_attention_dim"]
    posterior = 2 * 16 * (shape["height"] // 16) * (shape["width"] // 16)
    other = config["backbones"][backbone].get("vae") if encoding.vae_of(config, backbone) else None
    needs, vaes = _vae(config, other)
    return Cost(
        ("latents", backbone),
        jobs=latents["shards"],
        images=pictures,
        flops=pictures * flops.encode(networks.vae, **shape),
        gpus=1,
        gb=dtype * (pictures * posterior + max(crops, count) * text) / 1e9,
        needs=(("check", latents["split"]), *needs),
        sources=(source, config["backbones"][backbone]["source"], *vaes),
    )


def train(config: Config, model: str) -> Cost:
    backbone, train = config["models"][model]["backbone"], config["train"]
    own, pixels = config["backbones"][backbone]["train"], _shape(config["latents"]["size"])
    networks, kind = architecture(config, backbone), backbones.get(backbone)
    shape = pixels | {"t5_tokens": own["t5_tokens"]}
    picture = flops.training(
        flops.forward(kind, networks, **shape),
        recompute=train["gradient_checkpointing"],
        kept=flops.attention(kind, networks, **shape) if train["keep_attention"] else 0,
    )
    if config["latents"]["mode"] == "online":
        picture += flops.encode(networks.vae, **pixels)
    images = train["steps"] * own["global_batch"]
    # at the peak (docs/training.md): what it began from, two checkpoints, a third half-written
    states = len(training.CHAIN.kept(config)) - 1 + 4
    return Cost(
        ("train", model),
        jobs=len(training.CHAIN.segments(config)),
        images=images,
        flops=images * picture,
        gpus=own["gpus"],
        chain=True,
        gb=states * STATE[train["optimizer"]] * networks.parameters / 1e9,
        needs=(("latents", backbone),),
        sources=(config["backbones"][backbone]["source"],),
    )


def reconstruct(config: Config, vae: str) -> Cost:
    settings, entry = config["reconstruction"], config["vaes"][vae]
    own = config["vae"] | {"factor": 16} | entry
    pipeline = entry.get("source") or config["backbones"][entry["backbone"]]["source"]
    network = miniature.VAE if origin(config["sources"][pipeline]) == "make" else VAE
    needs, sources_read = _vae(config, vae)
    count, side = reconstructions.count(config, vae), settings["size"]
    shape = {"height": side, "width": side, "factor": own["factor"]}
    picture = flops.encode(network, **shape) + flops.decode(network, **shape, form=own["decoder"])
    _, source = _split(config, entry["split"])
    return Cost(
        ("reconstruct", vae),
        jobs=settings["shards"],
        images=count,
        flops=count * picture,
        gpus=1,
        needs=(("check", entry["split"]), *needs),
        sources=(source, *sources_read, "inception", "vgg16"),
    )


def generate(config: Config, model: str, evaluation: str) -> Cost:
    settings, entry = config["evaluations"][evaluation], config["models"][model]
    count, source = _split(config, settings["split"])
    shape = _shape(settings["size"])
    raw = count * shape["height"] * shape["width"] * 3
    kept = 1 / JPEG + (1 / PNG if keeps_png(config["metrics"]["score_input"]) else 0)
    brought = "images" in entry
    own = [] if brought else [Path(sources.of_model(config, model)).stem]
    own += [entry["transformer"]] if "transformer" in entry else []
    needs, vaes = _vae(config, entry.get("vae"))
    if "recipe" in entry:
        needs = (("train", training.same(config, model)), *needs)
    return Cost(
        ("generate", model, evaluation),
        jobs=1 if brought else settings["shards"],
        images=count,
        flops=count * _picture(config, entry, shape),
        gpus=0 if brought else 1,
        gb=raw * kept / 1e9,
        needs=needs,
        sources=(source, *own, *vaes),
    )


def efficiency(config: Config, cost: str, evaluation: str) -> Cost:
    entry = config["efficiency"][cost]
    name = entry["model"]
    model, shape = config["models"][name], _shape(config["evaluations"][evaluation]["size"])
    timed = model | {"generate": model.get("generate", {}) | {"steps": TIMED}}
    # of a picture with as many latents at F16
    times = 16 // entry.get("vae_factor", 16)
    shape = {name: side * times for name, side in shape.items()}
    return Cost(
        ("efficiency", cost, evaluation),
        jobs=1,
        images=1,
        flops=_picture(config, timed, shape),
        gpus=1,
        needs=(("train", training.same(config, name)),) if "recipe" in model else (),
        sources=(Path(sources.of_model(config, name)).stem,),
    )


def backbone_of(config: Config, model: Config) -> str | None:
    """The backbone of a model, or the one whose class a known repository holds a pipeline of."""
    source = config["sources"].get(model.get("source"), {})
    known = repositories.REPOSITORIES.get(source.get("hub", ""))
    return model.get("backbone") or (known.backbone if known else None)


def _picture(config: Config, model: Config, shape: dict[str, int]) -> float:
    """One picture's sampling and decoding; 0 for pipelines that are not of our backbones."""
    backbone = backbone_of(config, model)
    if backbone is None:
        return 0.0
    networks, kind = architecture(config, backbone), backbones.get(backbone)
    own = config["backbones"][backbone]["generate"] | model.get("generate", {})
    forward = flops.forward(kind, networks, **shape, t5_tokens=own["t5_tokens"])
    decode = flops.decode(networks.vae, **shape, form=config["vae"]["decoder"])
    return own["steps"] * kind.predictions(own["guidance"]) * forward + decode


def score(stage: str, config: Config, model: str, evaluation: str) -> Cost:
    """The jobs of one scoring rule; of `reference`, the photographs."""
    settings = config["evaluations"][evaluation]
    count, source = _split(config, settings["split"])
    drawn = () if model == "reference" else (("generate", model, evaluation),)
    read = (source, *scoring.networks(config, stage))
    return Cost((stage, model, evaluation), settings["shards"], count, needs=drawn, sources=read)


# in the order data flows
STAGES: dict[str, Callable[..., Cost]] = {
    "check": check,
    "train_vae": train_vae,
    "latents": latents,
    "train": train,
    "reconstruct": reconstruct,
    "generate": generate,
    "efficiency": efficiency,
} | {
    # the rules that score generated images
    stage: partial(score, stage)
    for stage in dict.fromkeys(families.get(name).stage for name in families.generated())
}


def of(config: Config, key: Key) -> Cost:
    """The cost of one key."""
    return STAGES[key[0]](config, *key[1:])
