"""The latent diffusion models that train, a module each; trainer and sampler know no name.

A module of this folder that defines `BACKBONE`, an instance of `base.Backbone`, is a backbone: text
conditioning, timestep law, packing, the released architecture, its arithmetic, how it is sampled.
A third one is one new file, and nothing that SD3 or Flux has made is made again, because modules
are found here and imported by name: a job's digest counts its own backbone's alone (`code`).

Snakemake reads names and architectures in its own process, so these modules import torch, diffusers
and transformers inside methods only. Pipelines that are only sampled need no module
(pipelines/stock.py).
"""

import importlib
import pkgutil

from diffusion4k.backbones.base import Backbone
from diffusion4k.errors import UserError

STOCK = "diffusion4k.pipelines.stock"  # the module of every other pipeline


def _discover() -> dict[str, Backbone]:
    """The backbones by name, that with the smallest transformer first."""
    names = [module.name for module in pkgutil.iter_modules(__path__, f"{__name__}.")]
    modules = [importlib.import_module(name) for name in names]
    backbones = [module.BACKBONE for module in modules if hasattr(module, "BACKBONE")]
    return {b.name: b for b in sorted(backbones, key=lambda b: b.architecture.parameters)}


_BACKBONES = _discover()
NAMES = tuple(_BACKBONES)


def get(name: str) -> Backbone:
    """The backbone of that name; UserError for an unknown one."""
    if name not in _BACKBONES:
        raise UserError(f"no backbone {name!r}; choose from {', '.join(NAMES)}")
    return _BACKBONES[name]


def of_class(class_name: str) -> Backbone | None:
    """The backbone whose pipelines are of this diffusers class; None for one only sampled."""
    return next((b for b in _BACKBONES.values() if b.class_name == class_name), None)


def module(name: str) -> str:
    """The full name of a backbone's module."""
    return type(get(name)).__module__


def code(name: str | None) -> dict[str, tuple[str, ...]]:
    """Arguments of `digest.digest` for a job of backbone `name`: which modules count, which do not.

    None: for a job whose pipeline's class is known when it is opened, so that all of them count.
    """
    if name is None:
        return {"with_modules": tuple(map(module, NAMES))}
    return {"leave_out": (STOCK,), "with_modules": (module(name),)}
