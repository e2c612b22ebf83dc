"""The work of each stage, for plan.py: jobs, pictures, arithmetic, disk, and what it waits for.

From the configuration and the FLOP model alone. What runs on CPU cores or waits for disks (checks,
scores) has jobs and pictures, but no arithmetic here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diffusion4k import backbones
from diffusion4k.backbones.architecture import VAE, Architecture
from diffusion4k.config.resolve import Config, origin
from diffusion4k.dag.stages import Stages
from diffusion4k.estimate import flops
from diffusion4k.sources.miniature import architectures as miniature

Key = tuple[str, ...]  # (stage, backbone or model or split[, evaluation])

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# bytes a parameter: weights, their export, fp32 master weights, two moments
STATE = {"adamw": 2 + 2 + 4 + 8, "adamw_8bit": 2 + 2 + 4 + 2}
TIMED = 13  # denoising steps of scripts/efficiency.py
JPEG = 11  # the paper's Compression Ratio, about: bytes of RGB over those of the JPEG


@dataclass(frozen=True)
class Work:
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


class Works:
    """The works of one configuration, by key."""

    def __init__(self, config: Config):
        self.config = config
        self.stages = Stages(config)

    def work(self, key: Key) -> Work:
        """The work of one key."""
        return STAGES[key[0]](self, *key[1:])

    def architecture(self, backbone: str) -> Architecture:
        """The released networks, or the miniature's, if any, where the source is made here."""
        source = self.config["sources"][self.config["backbones"][backbone]["source"]]
        released = backbones.get(backbone).architecture
        if origin(source) == "make":
            return miniature.MINIATURE.get(backbone, released)
        return released

    def _split(self, name: str) -> tuple[int, str]:
        split = self.config["splits"][name]
        return split["count"], split["source"]

    def check(self, split: str) -> Work:
        count, source = self._split(split)
        return Work(("check", split), 1, count, sources=(source,))

    def latents(self, backbone: str) -> Work:
        latents, architecture = self.config["latents"], self.architecture(backbone)
        count, source = self._split(latents["split"])
        size, width = latents["size"], BYTES[latents["dtype"]]
        crops = 0 if latents["mode"] == "online" else count * latents["crops_per_image"]
        pictures = crops * (2 if self.config["train"]["flip_probability"] > 0 else 1)
        tokens = self.config["backbones"][backbone]["train"]["t5_tokens"]
        text = (architecture.clip_tokens + tokens) * architecture.transformer["joint_attention_dim"]
        posterior = 2 * 16 * (size // 16) ** 2
        return Work(
            ("latents", backbone),
            jobs=latents["shards"],
            images=pictures,
            flops=pictures * flops.encode(architecture.vae, height=size, width=size),
            gpus=1,
            gb=width * (pictures * posterior + max(crops, count) * text) / 1e9,
            needs=(("check", latents["split"]),),
            sources=(source, self.config["backbones"][backbone]["source"]),
        )

    def train(self, model: str) -> Work:
        backbone, train = self.config["models"][model]["backbone"], self.config["train"]
        own, size = self.config["backbones"][backbone]["train"], self.config["latents"]["size"]
        architecture, kind = self.architecture(backbone), backbones.get(backbone)
        shape = {"height": size, "width": size, "t5_tokens": own["t5_tokens"]}
        picture = flops.training(
            flops.forward(kind, architecture, **shape),
            recompute=train["gradient_checkpointing"],
            kept=flops.attention(kind, architecture, **shape) if train["keep_attention"] else 0,
        )
        if self.config["latents"]["mode"] == "online":
            picture += flops.encode(architecture.vae, height=size, width=size)
        images = train["steps"] * own["global_batch"]
        # at the peak (docs/training.md): what it began from, two checkpoints, a third half-written
        states = len(self.stages.kept) - 1 + 4
        return Work(
            ("train", model),
            jobs=len(self.stages.segments),
            images=images,
            flops=images * picture,
            gpus=own["gpus"],
            chain=True,
            gb=states * STATE[train["optimizer"]] * architecture.parameters / 1e9,
            needs=(("latents", backbone),),
            sources=(self.config["backbones"][backbone]["source"],),
        )

    def reconstruct(self, vae: str) -> Work:
        settings, entry = self.config["reconstruction"], self.config["vaes"][vae]
        own = self.config["vae"] | {"factor": 16} | entry
        small = origin(self.config["sources"][entry["source"]]) == "make"
        config = miniature.VAE if small else VAE
        count, side = self.stages.reconstruction_count(), settings["size"]
        shape = {"height": side, "width": side, "factor": own["factor"]}
        picture = flops.encode(config, **shape) + flops.decode(config, **shape, form=own["decoder"])
        _, source = self._split(settings["split"])
        return Work(
            ("reconstruct", vae),
            jobs=settings["shards"],
            images=count,
            flops=count * picture,
            gpus=1,
            needs=(("check", settings["split"]),),
            sources=(source, entry["source"], "inception", "vgg16"),
        )

    def generate(self, model: str, evaluation: str) -> Work:
        settings, entry = self.config["evaluations"][evaluation], self.config["models"][model]
        count, source = self._split(settings["split"])
        size = settings["size"]
        brought = "images" in entry
        own = [] if brought else [Path(self.stages.model_source(model)).stem]
        own += [entry["transformer"]] if "transformer" in entry else []
        return Work(
            ("generate", model, evaluation),
            jobs=1 if brought else settings["shards"],
            images=count,
            flops=count * self._picture(entry, size),
            gpus=0 if brought else 1,
            gb=count * size**2 * 3 / JPEG / 1e9,
            needs=(("train", model),) if model in self.stages.trained else (),
            sources=(source, *own),
        )

    def efficiency(self, cost: str, evaluation: str) -> Work:
        entry = self.config["efficiency"][cost]
        name = entry["model"]
        model, size = self.config["models"][name], self.config["evaluations"][evaluation]["size"]
        timed = model | {"generate": model.get("generate", {}) | {"steps": TIMED}}
        size *= 16 // entry.get("vae_factor", 16)  # of a picture with as many latents at F16
        return Work(
            ("efficiency", cost, evaluation),
            jobs=1,
            images=1,
            flops=self._picture(timed, size),
            gpus=1,
            needs=(("train", name),) if name in self.stages.trained else (),
            sources=(Path(self.stages.model_source(name)).stem,),
        )

    def _picture(self, model: Config, size: int) -> float:
        """One picture's sampling and decoding; 0 for pipelines that are not of our backbones."""
        if "backbone" not in model:
            return 0.0
        backbone = model["backbone"]
        architecture = self.architecture(backbone)
        own = self.config["backbones"][backbone]["generate"] | model.get("generate", {})
        kind, shape = backbones.get(backbone), {"height": size, "width": size}
        forward = flops.forward(kind, architecture, **shape, t5_tokens=own["t5_tokens"])
        decode = flops.decode(architecture.vae, **shape, form=self.config["vae"]["decoder"])
        return own["steps"] * kind.predictions(own["guidance"]) * forward + decode

    def texture(self, model: str, evaluation: str) -> Work:
        return self._score("texture", model, evaluation, ())

    def distance(self, model: str, evaluation: str) -> Work:
        return self._score("distance", model, evaluation, ())

    def quality(self, model: str, evaluation: str) -> Work:
        return self._score("quality", model, evaluation, ("musiq", "maniqa"))

    def features(self, model: str, evaluation: str) -> Work:
        return self._score("features", model, evaluation, tuple(self.stages.networks()))

    def _score(self, kind: str, model: str, evaluation: str, networks: tuple[str, ...]) -> Work:
        settings = self.config["evaluations"][evaluation]
        count, source = self._split(settings["split"])
        made = () if model == "reference" else (("generate", model, evaluation),)
        sources = (source, *networks)
        key = (kind, model, evaluation)
        return Work(key, settings["shards"], count, needs=made, sources=sources)


# in the order data flows
STAGES: dict[str, Callable[..., Work]] = {
    "check": Works.check,
    "latents": Works.latents,
    "train": Works.train,
    "reconstruct": Works.reconstruct,
    "generate": Works.generate,
    "efficiency": Works.efficiency,
    "texture": Works.texture,
    "features": Works.features,
    "distance": Works.distance,
    "quality": Works.quality,
}
