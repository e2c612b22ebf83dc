"""Whole pipelines on disk: find one, load it (SD3 and Flux as F16), export a fine-tuned one.

A model is given as a manifest (its root is the diffusers folder) or as the folder itself. Beside
model_index.json an exported pipeline has a small diffusion4k.json, because `save_pretrained` has no
place for the VAE's factor: {"vae_factor": 16, "encoder": "stride", "decoder": "folded"}.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from diffusion4k import manifest
from diffusion4k.errors import OTHER_CODE, UserError
from diffusion4k.files import link, write_text
from diffusion4k.weights import SAFELY, loading

INDEX, OURS, TRANSFORMER = "model_index.json", "diffusion4k.json", "transformer"
CLASSES = {"StableDiffusion3Pipeline": "sd3", "FluxPipeline": "flux"}


@dataclass(frozen=True)
class Source:
    """A pipeline on disk: its diffusers folder, the notes of its manifest, and a digest of it."""

    root: Path
    notes: list[str] = field(default_factory=list)
    files: tuple[tuple[str, str], ...] = ()  # (name, a text that changes with the content)

    def fingerprint(self, *, transformer: bool) -> str:
        """A digest of the files, with or without those of the transformer."""
        kept = [f for f in self.files if transformer or not f[0].startswith(f"{TRANSFORMER}/")]
        return hashlib.sha256(json.dumps(kept).encode()).hexdigest()[:16]


def source(path: str | Path) -> Source:
    """The pipeline that `path`, a manifest or a diffusers folder, stands for, or a UserError."""
    path = Path(path)
    if path.is_dir():
        files = [(str(p.relative_to(path)), p.stat()) for p in _files(path)]
        found = Source(path, [], tuple((n, f"{s.st_size} {s.st_mtime_ns}") for n, s in files))
    else:
        record = manifest.read(path)
        listed = sorted((file.name, file.sha256) for file in record.files)
        found = Source(record.root, record.notes, tuple(listed))
    if not (found.root / INDEX).is_file():
        raise UserError(f"{path}: no {INDEX} in {found.root}; it is no diffusers pipeline")
    return found


def class_of(root: str | Path) -> str:
    """The pipeline class that model_index.json names; UserError when it brings its own code."""
    name = _read_json(Path(root) / INDEX).get("_class_name")
    if not isinstance(name, str):
        raise UserError(f"{root}: its pipeline is code of its own ({name}); {OTHER_CODE}")
    return name


def backbone_of(root: str | Path) -> str:
    """The backbone's name, from the pipeline class; "stock" for one that is only sampled."""
    return CLASSES.get(class_of(root), "stock")


def adapter(root: str | Path):
    """What the sampler knows of the pipeline in `root` (backbones.Sampled)."""
    from diffusion4k import backbones

    name = class_of(root)
    if name in CLASSES:
        return backbones.get(CLASSES[name])
    from diffusion4k.backbones.stock import Stock

    return Stock(name)


def forms(
    root: str | Path,
    encoder: str | None = None,
    decoder: str | None = None,
    vae_factor: int | None = None,
) -> dict:
    """{"vae_factor", "encoder", "decoder"}: the arguments, else diffusion4k.json, else F16.

    A `stride` in vae/config.json, which the released training code understands, counts too: 2 is
    F16 with the strided encoder, 1 is plain F8. A pipeline that is no SD3 and no Flux keeps its
    own VAE, whatever encoder and decoder say: its forms are None.
    """
    root = Path(root)
    if backbone_of(root) == "stock":
        if vae_factor is not None:
            raise UserError(
                f"{root}: vae_factor is for SD3 and Flux; a {class_of(root)} has its own"
            )
        return {"vae_factor": None, "encoder": None, "decoder": None}
    found = {"vae_factor": 16, "encoder": "stride", "decoder": "folded"}
    config = root / "vae" / "config.json"
    stride = _read_json(config).get("stride") if config.is_file() else None
    if stride is not None:
        found["vae_factor"] = 8 * int(stride)
    if (root / OURS).is_file():
        found.update(_read_json(root / OURS))
    given = {"encoder": encoder, "decoder": decoder, "vae_factor": vae_factor}
    found |= {key: value for key, value in given.items() if value is not None}
    if found["vae_factor"] not in (8, 16):
        raise UserError(f"{root}: a VAE of factor {found['vae_factor']}; only 8 and 16 are known")
    return found


def load(
    path_or_manifest: str | Path,
    *,
    dtype,
    device,
    encoder: str | None = None,
    decoder: str | None = None,
    vae_factor: int | None = None,
    without_transformer: bool = False,
    offload: bool = False,
    tiling: bool = False,
):
    """The pipeline at `path_or_manifest`, SD3's and Flux's VAE made F16, on `device` in `dtype`.

    encoder, decoder, vae_factor: as `forms` takes them. `without_transformer` is for encoding text
    and images. `offload` keeps on the GPU only the model at work, `tiling` lets the VAE work in
    overlapping tiles. Nothing is downloaded, and no code that came with the weights is run.
    """
    import torch

    from diffusion4k.vae.f16 import make_pipeline_f16

    root = source(path_or_manifest).root
    chosen = forms(root, encoder, decoder, vae_factor)
    _check_code(root)
    parts = {TRANSFORMER: None} if without_transformer else {}
    with loading(root, "a pipeline that diffusers can load"):
        pipeline = _from_pretrained(root, dtype, parts)
    if chosen["vae_factor"] == 16:
        make_pipeline_f16(pipeline, encoder=chosen["encoder"], decoder=chosen["decoder"])
    if tiling:
        if not hasattr(pipeline.vae, "enable_tiling"):
            raise UserError(f"{root}: a {type(pipeline.vae).__name__} has no tiling; leave it off")
        pipeline.vae.enable_tiling()
    pipeline.set_progress_bar_config(disable=True)
    if not offload:
        return pipeline.to(device)
    if torch.device(device).type == "cpu":
        raise UserError("--offload moves models between GPU and memory; it needs a GPU")
    pipeline.enable_model_cpu_offload(device=device)
    return pipeline


def _from_pretrained(root: Path, dtype, parts: dict):
    """The pipeline as it lies, from safetensors; of SD3 and Flux the VAE by itself."""
    from diffusers import AutoencoderKL

    how = {"torch_dtype": dtype} | SAFELY
    kind = adapter(root)
    if kind.name == "stock":
        return kind.load(root, **how)
    pipeline = kind.pipeline_class.from_pretrained(root, vae=None, **how, **parts)
    # model_index.json may name a VAE class that is not in diffusers; the weights must fit ours
    vae, info = AutoencoderKL.from_pretrained(
        root, subfolder="vae", output_loading_info=True, **how
    )
    amiss = [f"{key}: {min(map(str, found))}" for key, found in info.items() if found]
    if amiss:
        raise UserError(f"{root}: its VAE is no AutoencoderKL ({'; '.join(amiss)}); {OTHER_CODE}")
    pipeline.register_modules(vae=vae)
    return pipeline


def _check_code(root: Path) -> None:
    """UserError for a part whose class is neither in diffusers nor in transformers."""
    from diffusers import pipelines as known

    for part, entry in _read_json(root / INDEX).items():
        if not isinstance(entry, list) or part == "vae" and backbone_of(root) != "stock":
            continue
        library = entry[0]
        if library not in (None, "diffusers", "transformers") and not hasattr(known, library):
            raise UserError(f"{root}: {part} is a {'.'.join(entry)}, own code; {OTHER_CODE}")


def export(
    base_root: str | Path,
    transformer_root: str | Path,
    out_root: str | Path,
    *,
    encoder: str = "stride",
    decoder: str = "folded",
) -> list[Path]:
    """Write a self-contained diffusers folder `out_root`; returns its files.

    Everything of the pipeline `base_root` but its transformer is hard-linked (copied across file
    systems; links are followed, because hub snapshots are folders of links), `transformer/` comes
    from `transformer_root/transformer`. The folder appears whole, replacing an earlier one.
    """
    base_root, out_root = Path(base_root), Path(out_root)
    trained = Path(transformer_root) / TRANSFORMER
    _same_class(base_root / TRANSFORMER, trained)
    part = out_root.with_name(f".{out_root.name}.{os.getpid()}.tmp")
    try:
        for file in _files(base_root):
            name = file.relative_to(base_root)
            if name.parts[0] not in (TRANSFORMER, OURS):
                link(file, part / name)
        for file in _files(trained):
            link(file, part / TRANSFORMER / file.relative_to(trained))
        if backbone_of(base_root) != "stock":
            choice = {"vae_factor": 16, "encoder": encoder, "decoder": decoder}
            write_text(part / OURS, json.dumps(choice, indent=1) + "\n")
        shutil.rmtree(out_root, ignore_errors=True)
        part.rename(out_root)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return _files(out_root)


def trained_root(state: manifest.Manifest) -> Path:
    """The folder of a training step that holds `transformer/`; UserError unless there is one."""
    folders = {p.parent for p in state.paths() if p.name == "config.json"}
    folders = {folder.parent for folder in folders if folder.name == TRANSFORMER}
    if len(folders) != 1:
        raise UserError(f"{state.path}: lists {len(folders)} trained transformers, not one")
    return folders.pop()


def _same_class(base: Path, trained: Path) -> None:
    for folder in (base, trained):
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder}: no transformer there (config.json is missing)")
    ours, theirs = map(_transformer_class, (trained, base))
    if ours != theirs:
        raise UserError(f"{trained}: a {ours}, but the pipeline {base.parent} has a {theirs}")


def _transformer_class(folder: Path) -> str:
    """The class in config.json; PixArt's older ones say Transformer2DModel, as diffusers knows."""
    config = _read_json(folder / "config.json")
    legacy = ("Transformer2DModel", "ada_norm_single")
    if (config.get("_class_name"), config.get("norm_type")) == legacy:
        return "PixArtTransformer2DModel"
    return config.get("_class_name")


def _files(root: Path) -> list[Path]:
    """The files below `root`, links followed, sorted; none hidden, such as a download's .cache."""
    found = []
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
