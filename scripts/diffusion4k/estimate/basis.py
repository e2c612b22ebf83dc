"""What costs are written in: the work itself, its networks, what it waits for, one picture."""

from dataclasses import dataclass
from pathlib import Path

from diffusion4k import backbones
from diffusion4k.backbones.architecture import Architecture
from diffusion4k.config.resolve import Config, origin
from diffusion4k.dag import data, generate, sources
from diffusion4k.dag import train as training
from diffusion4k.dag import vae as reconstructions
from diffusion4k.estimate import flops, repositories
from diffusion4k.shape import Size, sides
from diffusion4k.sources.miniature import architectures as miniature

Key = tuple[str, ...]  # (stage, backbone or model or split[, evaluation])

JPEG = 11  # the paper's Compression Ratio, about: bytes of RGB over those of the JPEG


@dataclass(frozen=True)
class Cost:
    """The jobs of one stage for one model: `flops` and `images` of all, `gpus` of each job.

    `precision`: of a VAE's convolutions, where they are the arithmetic: bfloat16, tf32, float32.
    """

    key: Key
    jobs: int
    images: int
    flops: float = 0.0  # 0: not modelled
    gpus: int = 0
    chain: bool = False  # its jobs come one after another
    gb: float = 0.0
    needs: tuple[Key, ...] = ()
    sources: tuple[str, ...] = ()
    calls: int = 0  # questions to a model behind an address
    max_cost: float = 0.0  # of their answers, in the prices' currency
    precision: str = ""

    def gpu_hours(self, tflops: float) -> float:
        """Of all jobs together, at `tflops` TFLOP/s a GPU."""
        return self.flops / (tflops * 1e12) / 3600

    def wall_hours(self, tflops: float) -> float:
        """With a GPU for every job that can run."""
        return self.gpu_hours(tflops) / max(1, self.gpus) / (1 if self.chain else max(1, self.jobs))


def architecture(config: Config, backbone: str) -> Architecture:
    """The released networks, or the miniature's, if any, where the source is made here."""
    source = config["sources"][config["backbones"][backbone]["source"]]
    released = backbones.get(backbone).architecture
    if origin(source) == "make" and backbone in miniature.MINIATURE:
        return miniature.grown(backbone, source.get("options", {}).get("growth", 1))
    return released


def split_of(config: Config, name: str) -> tuple[int, str]:
    """Images, 0 where nobody knows, and source."""
    split = config["splits"][name]
    return split.get("count", 0), split["source"]


def vae_of(config: Config, name: str | None) -> tuple[tuple[Key, ...], tuple[str, ...]]:
    """What a job that uses one of `vaes` waits for, and its source."""
    if name is None:
        return (), ()
    entry = config["vaes"][name]
    if "source" in entry:
        return (), (entry["source"],)
    return (("train_vae", reconstructions.same(config, name)),), ()


def model_of(config: Config, model: str) -> tuple[tuple[Key, ...], tuple[str, ...]]:
    """What pictures of a model wait for, and the sources of its pipeline, if it is drawn here."""
    entry = config["models"][model]
    own = [] if "images" in entry else [Path(sources.of_model(config, model)).stem]
    own += [entry["transformer"]] if "transformer" in entry else []
    own += ["flash_attention_3"] if own and generate.kernel(config) else []
    needs, vaes = vae_of(config, entry.get("vae"))
    if "recipe" in entry:
        needs = (("train", training.same(config, model)), *needs)
    return needs, (*own, *vaes)


def captions_of(config: Config, split: str, model: str | None = None) -> tuple[Key, ...]:
    """The captions, other than the data set's, that a split's images have, or a model's prompts."""
    own = config["models"][model].get("captions") if model else None
    name = own or config["splits"][split].get("captions")
    return (("caption", name, split),) if name in data.other_captions(config) else ()


def rate(config: Config, backbone: str | None) -> float:
    """TFLOP/s that a GPU sustains in the work of a backbone: plan.tflops."""
    return _of(config["plan"]["tflops"], backbone)


def vae_rate(config: Config, precision: str) -> float:
    """TFLOP/s that a GPU sustains in a VAE's convolutions, whosever it is: plan.vae_tflops."""
    return _of(config["plan"]["vae_tflops"], precision)


def _of(known: float | dict[str, float], name: str | None) -> float:
    """The rate of a name, the lowest for one that is not there; or the one rate of all."""
    return known.get(name, min(known.values())) if isinstance(known, dict) else known


def convolutions(dtype: str, *, tf32: bool = True) -> str:
    """The precision that a GPU's convolutions of a dtype run in: of float32, torch's default."""
    return {"float32": "tf32" if tf32 else "float32"}.get(dtype, "bfloat16")


def narrower(config: Config) -> int:
    """By how much the convolutions of LPIPS's network are narrower than VGG-16's."""
    source = config["sources"]["vgg16"]
    return source.get("options", {}).get("narrower", 1) if origin(source) == "make" else 1


def px(size: Size) -> dict[str, int]:
    """The two sides as arithmetic takes them."""
    return dict(zip(("height", "width"), sides(size), strict=True))


def backbone_of(config: Config, model: Config) -> str | None:
    """The backbone of a model or VAE, or the one whose pipeline its source is known to be."""
    name = model.get("source")
    known = repositories.REPOSITORIES.get(config["sources"].get(name, {}).get("hub", ""))
    same = (b for b, backbone in config["backbones"].items() if backbone["source"] == name)
    return model.get("backbone") or (known.backbone if known else next(same, None))


def picture(config: Config, model: Config, shape: dict[str, int]) -> float:
    """One picture's sampling and decoding; 0 for pipelines that are not of our backbones."""
    backbone = backbone_of(config, model)
    if backbone is None:
        return 0.0
    networks, kind = architecture(config, backbone), backbones.get(backbone)
    own = config["backbones"][backbone]["generate"] | model.get("generate", {})
    shape = shape | {"factor": model.get("vae_factor", 16)}
    forward = flops.forward(kind, networks, **shape, t5_tokens=own["t5_tokens"])
    decode = flops.decode(networks.vae, **shape, form=config["vae"]["decoder"])
    return own["steps"] * kind.predictions(own["guidance"]) * forward + decode
