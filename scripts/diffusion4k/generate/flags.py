"""The flags of sampling and loading, and what they come to; generate.py, efficiency.py."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from diffusion4k import backbones, limits, manifest
from diffusion4k.backbones.base import Sampled
from diffusion4k.errors import UserError
from diffusion4k.generate.settings import SamplerSettings, choose
from diffusion4k.pipelines.folder import PipelineFolder
from diffusion4k.vae import DECODERS, ENCODERS

DTYPES = ("float32", "bfloat16", "float16")
SWITCH = argparse.BooleanOptionalAction


def add_sampling(flags: argparse.ArgumentParser) -> None:
    """What is drawn at which size, by how many steps, from which seed."""
    flags.add_argument("--height", type=int, default=4096, help="px, multiple of 32 (4096)")
    flags.add_argument("--width", type=int, default=4096, help="px, multiple of 32 (4096)")
    # the defaults of other pipelines are their own
    flags.add_argument("--steps", type=limits.count, help=f"denoising steps ({_defaults('steps')})")
    flags.add_argument(
        "--guidance", type=limits.finite, help=f"guidance scale ({_defaults('guidance')})"
    )
    flags.add_argument(
        "--t5-tokens", type=limits.tokens, help=f"at most 512 ({_defaults('t5_tokens')})"
    )
    flags.add_argument(
        "--of-class", type=json.loads, default={}, metavar="JSON",
        help='other defaults, by class: {"sd3": {"steps": 50}, "flux": {"guidance": 7}}'
    )  # fmt: skip
    flags.add_argument("--negative-prompt", default="", help="not for Flux")
    flags.add_argument("--seed", type=limits.seed, default=0, help="0 to 2^63 - 1 (0)")
    flags.add_argument(
        "--seed-policy", choices=["published", "per_prompt"], default="published",
        help="the same seed for every prompt of a data set, as released, or one derived from its id"
    )  # fmt: skip


def pictures_of(model: str) -> Path:
    """The manifest of a model's pictures in results/: of the last run that drew any, the largest.

    UserError, with the models there are, when there is none.
    """
    drawn = sorted(Path("results").glob("*/generate/*/*/shard-0-of-*.json"))
    own = [path for path in drawn if path.parent.parent.name == model]
    if not own:
        names = ", ".join(dict.fromkeys(path.parent.parent.name for path in drawn))
        raise UserError(f"no file {model}, and no pictures of a model of that name; of {names}")
    last = max(own, key=lambda path: path.stat().st_mtime)
    same_run = [path for path in own if path.parts[1] == last.parts[1]]
    return max(same_run, key=lambda path: manifest.read(path).settings.get("height", 0))


class LikeParser(argparse.ArgumentParser):
    """With --like it takes what is not given from what made other pictures, as their manifest says.

    The pictures are told by their manifest, or by the model of a row of the tables. What is given
    wins, before --like or behind it, and if it is the default.
    """

    TAKEN = (
        "model", "revision", "prompt", "height", "width", "steps", "guidance", "t5_tokens",
        "negative_prompt", "seed", "seed_policy", "vae_factor", "encoder", "decoder", "dtype",
        "vae_tiling", "attention", "kernel", "compile",
    )  # fmt: skip

    def parse_known_args(self, args=None, namespace=None):
        """As of every parser."""
        absent = object()  # argparse sets no default where there is a value
        namespace = argparse.Namespace(**dict.fromkeys(self.TAKEN, absent))
        namespace, rest = super().parse_known_args(args, namespace)
        settings = {} if namespace.like is None else self._settings(namespace)
        for name in self.TAKEN:
            if getattr(namespace, name) is absent:
                setattr(namespace, name, settings.get(name, self.get_default(name)))
        return namespace, rest

    def _settings(self, namespace: argparse.Namespace) -> dict[str, Any]:
        """Those of the pictures that --like means, which becomes the path of their manifest."""
        try:
            if not Path(namespace.like).exists():
                namespace.like = str(pictures_of(namespace.like))
                print(f"like {namespace.like}", file=sys.stderr)
            settings = manifest.read(namespace.like).settings
        except UserError as error:
            self.error(f"--like: {error}")
        if "seed_policy" not in settings:
            self.error(f"--like {namespace.like}: is of no pictures that generate.py made")
        return settings


def _defaults(name: str) -> str:
    """What each backbone takes by default, for --help."""
    return ", ".join(f"{b} {backbones.get(b).defaults[name]}" for b in backbones.NAMES)


def add_loading(flags: argparse.ArgumentParser, *, dtype: str) -> None:
    """In which precision and form it is loaded; "auto" is a dtype only where it is the default."""
    # of the backbones; other pipelines keep their own VAE
    flags.add_argument(
        "--vae-factor", type=int, choices=[8, 16], help="default: what the pipeline says, else 16"
    )
    flags.add_argument("--encoder", choices=ENCODERS, help="default: the pipeline's")
    flags.add_argument(
        "--decoder", choices=DECODERS,
        help="folded and upsample are exact, published is shifted by 1 px; default: the pipeline's"
    )  # fmt: skip
    flags.add_argument(
        "--dtype", choices=[*dict.fromkeys([dtype, *DTYPES])], default=dtype,
        help="auto: bfloat16 on a GPU, else float32" if dtype == "auto" else None
    )  # fmt: skip
    flags.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    flags.add_argument(
        "--offload", action=SWITCH, default=False,
        help="keep on the GPU only the model at work: slower, in much less memory"
    )  # fmt: skip
    flags.add_argument(
        "--vae-tiling", action=SWITCH, default=False,
        help="decode in overlapping tiles: less memory, other pixels where tiles blend"
    )  # fmt: skip
    flags.add_argument(
        "--attention", choices=["native", "flash_3", "auto"], default="native",
        help="native: torch's own; flash_3: FlashAttention 3, other last bits; auto: that if it"
        " works here, else native"
    )  # fmt: skip
    flags.add_argument(
        "--kernel", metavar="MANIFEST",
        help="FlashAttention 3 as it was fetched, for --attention; default: what the package"
        " `kernels` takes from the hub"
    )  # fmt: skip
    flags.add_argument(
        "--compile", action=SWITCH, default=False,
        help="torch.compile the transformer: a slow first step, then faster; other last bits"
    )  # fmt: skip


def settings(args: argparse.Namespace, backbone: Sampled) -> SamplerSettings:
    """What the flags of sampling come to for a pipeline; UserError for what it does not take."""
    return choose(
        backbone,
        {name: getattr(args, name) for name in ("steps", "guidance", "t5_tokens")},
        args.of_class,
        height=args.height,
        width=args.width,
        negative_prompt=args.negative_prompt,
    )


def kernel(args: argparse.Namespace) -> dict[str, str]:
    """The kernel that was fetched, as an input of a manifest."""
    return {"kernel": args.kernel} if args.kernel else {}


def setup(args: argparse.Namespace, folder: PipelineFolder) -> Any:
    """What the flags of loading come to for a pipeline, a generate.setup.Setup."""
    if args.kernel:  # diffusers would ask the hub whom to trust, and nodes may have no network
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from diffusion4k.generate.setup import Setup  # torch

    return Setup(
        folder,
        dtype=args.dtype,
        device_name=args.device,
        vae_factor=args.vae_factor,
        encoder=args.encoder,
        decoder=args.decoder,
        offload=args.offload,
        vae_tiling=args.vae_tiling,
        attention=args.attention,
        kernel=args.kernel,
        compiled=args.compile,
    )
