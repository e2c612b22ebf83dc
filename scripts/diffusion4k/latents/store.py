"""The latent store: one safetensors file an image crop, <id>-<crop>.safetensors.

    mean, logvar              (16, h, w)  the raw posterior of the VAE: scale and shift come later
    mean_flip, logvar_flip    (16, h, w)  that of the mirrored crop, when both were asked for
    prompt_embeds, pooled     (T, D), (P,)

A sample of mode "online" has no posterior: training encodes the image itself. The header carries
id, crop, backbone, vae_scaling_factor and vae_shift_factor (as repr(float)), size (px, or
HEIGHTxWIDTH), encoder and dtype of the VAE, and `settings`, a digest of all that the file was made
from, so that a resume trusts only what matches.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from diffusion4k import finite
from diffusion4k.errors import UserError
from diffusion4k.files import atomic


def sample_path(folder: str | Path, id: str, crop: int) -> Path:
    """The file of one crop of one image."""
    return Path(folder) / f"{id}-{crop}.safetensors"


def write_sample(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write a sample, atomically; the tensors may be on any device. UserError unless finite."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    for name, tensor in plain.items():
        finite.check(f"{Path(path).stem}: its {name}", tensor)
    with atomic(path) as temporary:
        temporary.write_bytes(_ordered(save(plain, metadata=dict(metadata))))


def read_sample(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors (on the CPU) and the header of a sample; UserError for a broken file."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: not a latent sample ({error}); run latents again") from None


def valid(path: str | Path, settings: str | None = None) -> bool:
    """Whether a whole sample lies at `path`, made with `settings` (a digest) where given.

    Reads the header only; safetensors checks there that the file has all of its bytes.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (OSError, SafetensorError):
        return False
    return settings is None or header.get("settings") == settings


def _ordered(data: bytes) -> bytes:
    """The same safetensors file with its metadata sorted.

    The library keeps them in a hash map, so that equal samples would differ in their bytes.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[end:]
