"""How a pipeline is loaded and computes: the flags that scripts share, and what they come to."""

from typing import Any

import torch

from diffusion4k import device, manifest
from diffusion4k.generate import kernels
from diffusion4k.pipelines.folder import PipelineFolder


class Setup:
    """One pipeline with its precision, device, VAE forms and kernels; nothing is loaded yet.

    As flags.py has them; dtype "auto" is bfloat16 on a GPU, else float32.
    """

    def __init__(
        self,
        folder: PipelineFolder,
        *,
        dtype: str,
        device_name: str,
        vae_factor: int | None,
        encoder: str | None,
        decoder: str | None,
        offload: bool,
        vae_tiling: bool,
        attention: str,
        kernel: str | None,
        compiled: bool,
    ):
        self.folder = folder
        self.device = device.choose(device_name)
        on_cpu = self.device.type == "cpu"
        self.dtype = ("float32" if on_cpu else "bfloat16") if dtype == "auto" else dtype
        self.forms = folder.forms(encoder, decoder, vae_factor)
        self.offload, self.vae_tiling = offload, vae_tiling
        self.attention, self.compiled = attention, compiled
        self.kernel = manifest.read(kernel) if kernel and attention != kernels.NATIVE else None
        self.kernels: dict[str, str | bool] | None = None  # in use, once it is loaded

    def load(self):
        """The pipeline, ready to sample."""
        pipeline = self.folder.load(
            dtype=getattr(torch, self.dtype),
            device=self.device,
            forms=self.forms,
            offload=self.offload,
            tiling=self.vae_tiling,
        )
        self.kernels = kernels.prepare(
            pipeline, attention=self.attention, compiled=self.compiled, kernel=self.kernel
        )
        return pipeline

    def record(self) -> dict[str, Any]:
        """What the choices came to, for the manifest."""
        used = {} if self.kernels is None else {"kernels": self.kernels}
        return {"dtype": self.dtype, "device": str(self.device)} | self.forms | used

    def made_from(self, script: str) -> dict[str, str]:
        """What decides a picture's bytes beside prompt, seed and settings, by name."""
        decoding = f"{self.forms['vae_factor']} {self.forms['decoder']} {self.vae_tiling}"
        kernel = [self.kernel.digest] if self.kernel else []
        return {
            "model": self.folder.fingerprint(transformer=True),
            "code": self.folder.code(script),
            "dtype": self.dtype,
            "decoding": decoding,
            "kernels": " ".join([self.attention, str(self.compiled), *kernel]),
        }
