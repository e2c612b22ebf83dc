"""What a run takes before it starts: jobs, GPU hours, wall time, disk, from the FLOP model.

Only the configuration is read, and benchmarks/results/*.json where plan.device was measured. What
runs on CPU cores or waits for disks (checks, scores, tables) has jobs and pictures, but no hours.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from diffusion4k import flops
from diffusion4k.architectures import RELEASED, Architecture
from diffusion4k.config import Config, origin
from diffusion4k.dag.paper import Paper
from diffusion4k.dag.stages import Stages
from diffusion4k.sources.miniature.architectures import MINIATURE

Key = tuple[str, ...]  # (stage, backbone or model or split[, evaluation])

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# bytes a parameter: weights, their export, fp32 master weights, two moments
STATE = {"adamw": 2 + 2 + 4 + 8, "adamw_8bit": 2 + 2 + 4 + 2}
JPEG = 11  # the paper's Compression Ratio, about: bytes of RGB over those of the JPEG
# GB of sources where known (docs/sources.md)
SOURCE_GB = {
    "stabilityai/stable-diffusion-3-medium-diffusers": 15,
    "black-forest-labs/FLUX.1-dev": 34,
    "zhang0jhon/flux_wavelet": 44,
    "zhang0jhon/flux_wavelet_v2_sc": 44,
}


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


class Plan:
    """The work of one configuration, and sums over the part that a target needs."""

    def __init__(self, config: Config, measured: dict[tuple[str, str], float] | None = None):
        self.config, self.measured = config, measured or {}
        self.stages = Stages(config)
        self.paper = Paper(self.stages)

    def tflops(self, work: Work) -> float:
        """The sustained rate of a GPU at this work: measured, or plan.tflops."""
        name = work.key[1]
        backbone = self.config["models"].get(name, {}).get("backbone", name)
        return self.measured.get((work.key[0], backbone), self.config["plan"]["tflops"])

    @cached_property
    def tables(self) -> dict[str, list[Work]]:
        """Everything that each table needs, in the order data flows."""
        return {name: self.closure(self._table_keys(name)) for name in self.config["tables"]}

    @cached_property
    def everything(self) -> list[Work]:
        """What all tables together need, each work once."""
        return self.closure(key for name in self.config["tables"] for key in self._table_keys(name))

    def closure(self, keys: Iterable[Key]) -> list[Work]:
        """The works of these keys and all that they need, those that are needed first."""
        found: dict[Key, Work] = {}

        def add(key: Key) -> None:
            if key not in found:
                work = self.work(key)
                for other in work.needs:
                    add(other)
                found[key] = work

        for key in keys:
            add(key)
        order = list(_WORKS)
        return sorted(found.values(), key=lambda work: order.index(work.key[0]))

    def gpu_hours(self, works: Iterable[Work]) -> float:
        return sum(work.gpu_hours(self.tflops(work)) for work in works)

    def wall_hours(self, works: list[Work]) -> float:
        """The longest chain of work that waits for other work; every job finds its GPUs free."""
        known = {work.key: work for work in works}

        def until(key: Key) -> float:
            work = known[key]
            own = work.wall_hours(self.tflops(work))
            return own + max((until(k) for k in work.needs if k in known), default=0.0)

        return max((until(key) for key in known), default=0.0)

    def sources(self, works: Iterable[Work]) -> list[str]:
        """The sources that these works read, as the configuration orders them."""
        read = {source for work in works for source in work.sources}
        return [name for name in self.config["sources"] if name in read]

    def source_gb(self, name: str) -> float | None:
        """GB to download; None where unknown, 0 for what you have or what is made here."""
        source = self.config["sources"][name]
        if origin(source) in ("path", "make"):
            return 0.0
        return SOURCE_GB.get(source.get("hub", ""))

    # each stage's work

    def work(self, key: Key) -> Work:
        """The work of one key."""
        return _WORKS[key[0]](self, *key[1:])

    def _table_keys(self, name: str) -> list[Key]:
        table = self.config["tables"][name]
        keys: list[Key] = []
        for value, _ in self.paper.table_values(name):
            row, family = value.split(":")
            stage = {"sizes": "check", "training": "train", "reconstruction": "reconstruct"}
            if family in stage:
                keys.append((stage[family], row))
                continue
            kind = {"alignment": "features", "fid": "features"}.get(family, family)
            keys.append((kind, row, table["evaluation"]))
            if family == "fid":
                keys.append(("features", "reference", table["evaluation"]))
        return keys

    def architecture(self, backbone: str) -> Architecture:
        """The released networks, or the miniature's where the source is made here."""
        source = self.config["sources"][self.config["backbones"][backbone]["source"]]
        return (MINIATURE if origin(source) == "make" else RELEASED)[backbone]

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
        architecture = self.architecture(backbone)
        shape = {"height": size, "width": size, "t5_tokens": own["t5_tokens"]}
        picture = flops.training(
            flops.forward(architecture, **shape),
            recompute=train["gradient_checkpointing"],
            kept=flops.attention(architecture, **shape) if train["keep_attention"] else 0,
        )
        if self.config["latents"]["mode"] == "online":
            picture += flops.encode(architecture.vae, height=size, width=size)
        images = train["steps"] * own["global_batch"]
        states = len(self.stages.kept) + 2  # and, while it trains, the segment before and a save
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

    def reconstruct(self, backbone: str) -> Work:
        settings, vae = self.config["reconstruction"], self.architecture(backbone).vae
        count, size = self.stages.reconstruction_count(), settings["size"]
        form = self.config["vae"]["decoder"]
        picture = flops.encode(vae, height=size, width=size)
        picture += flops.decode(vae, height=size, width=size, form=form)
        _, source = self._split(settings["split"])
        return Work(
            ("reconstruct", backbone),
            jobs=settings["shards"],
            images=count,
            flops=count * picture,
            gpus=1,
            needs=(("check", settings["split"]),),
            sources=(source, self.config["backbones"][backbone]["source"], "inception", "vgg16"),
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

    def _picture(self, model: Config, size: int) -> float:
        """One picture's sampling and decoding; 0 for pipelines that are not of our backbones."""
        if "backbone" not in model:
            return 0.0
        backbone = model["backbone"]
        architecture = self.architecture(backbone)
        own = self.config["backbones"][backbone]["generate"] | model.get("generate", {})
        forward = flops.forward(architecture, height=size, width=size, t5_tokens=own["t5_tokens"])
        guided = architecture.clip_tokens and own["guidance"] > 1  # SD3 predicts twice
        form = self.config["vae"]["decoder"]
        decode = flops.decode(architecture.vae, height=size, width=size, form=form)
        return own["steps"] * forward * (2 if guided else 1) + decode

    def texture(self, model: str, evaluation: str) -> Work:
        return self._score("texture", model, evaluation, ())

    def distance(self, model: str, evaluation: str) -> Work:
        return self._score("distance", model, evaluation, ())

    def features(self, model: str, evaluation: str) -> Work:
        networks = ("clip", "clip_large", "aesthetics_head", "inception")
        return self._score("features", model, evaluation, networks)

    def _score(self, kind: str, model: str, evaluation: str, networks: tuple[str, ...]) -> Work:
        settings = self.config["evaluations"][evaluation]
        count, source = self._split(settings["split"])
        made = () if model == "reference" else (("generate", model, evaluation),)
        sources = (source, *networks)
        key = (kind, model, evaluation)
        return Work(key, settings["shards"], count, needs=made, sources=sources)


# in the order data flows
_WORKS: dict[str, Callable[..., Work]] = {
    "check": Plan.check,
    "latents": Plan.latents,
    "train": Plan.train,
    "reconstruct": Plan.reconstruct,
    "generate": Plan.generate,
    "texture": Plan.texture,
    "features": Plan.features,
    "distance": Plan.distance,
}


def measured(folder: Path, device: str | None) -> dict[tuple[str, str], float]:
    """(stage, backbone) => TFLOP/s, from the last full run of each benchmark on this device."""
    found: dict[tuple[str, str], float] = {}
    records = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    for record in sorted(records, key=lambda record: record["date"]):
        if record["device"] == device and not record["quick"]:
            for row in record["rows"]:
                if row.get("side") == "ours" and "stage" in row and "tflops" in row:
                    found[row["stage"], row["backbone"]] = row["tflops"]
    return found
