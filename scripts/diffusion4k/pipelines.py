"""Whole pipelines on disk: find one, load it as F16, export a fine-tuned one.

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
from diffusion4k.errors import UserError
from diffusion4k.files import write_text

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


def backbone_of(root: str | Path) -> str:
    """The backbone's name, from the pipeline class in model_index.json; UserError for others."""
    name = json.loads((Path(root) / INDEX).read_text(encoding="utf-8")).get("_class_name")
    if name not in CLASSES:
        raise UserError(f"{root}: a pipeline of class {name}; this project knows {[*CLASSES]}")
    return CLASSES[name]


def forms(root: str | Path, encoder: str | None = None, decoder: str | None = None) -> dict:
    """{"vae_factor", "encoder", "decoder"}: the arguments, else diffusion4k.json, else F16.

    A `stride` in vae/config.json, which the released training code understands, counts too: 2 is
    F16 with the strided encoder, 1 is plain F8.
    """
    root = Path(root)
    found = {"vae_factor": 16, "encoder": "stride", "decoder": "folded"}
    config = root / "vae" / "config.json"
    stride = _read_json(config).get("stride") if config.is_file() else None
    if stride is not None:
        found["vae_factor"] = 8 * int(stride)
    if (root / OURS).is_file():
        found.update(_read_json(root / OURS))
    if found["vae_factor"] not in (8, 16):
        raise UserError(f"{root}: a VAE of factor {found['vae_factor']}; only 8 and 16 are known")
    given = {"encoder": encoder, "decoder": decoder}
    return found | {key: value for key, value in given.items() if value is not None}


def load(
    path_or_manifest: str | Path,
    *,
    dtype,
    device,
    encoder: str | None = None,
    decoder: str | None = None,
    without_transformer: bool = False,
    offload: bool = False,
):
    """The pipeline at `path_or_manifest`, with its VAE made F16, on `device` in `dtype`.

    encoder, decoder: forms of the F16 VAE (diffusion4k.vae.f16); None takes what the pipeline's
    diffusion4k.json says, else "stride" and "folded". `without_transformer` is for encoding text
    and images. `offload` keeps on the GPU only the model at work. Nothing is downloaded.
    """
    import torch
    from diffusers import AutoencoderKL

    from diffusion4k import backbones
    from diffusion4k.vae.f16 import make_pipeline_f16

    root = source(path_or_manifest).root
    pipeline_class = backbones.get(backbone_of(root)).pipeline_class
    parts = {"vae": None} | ({TRANSFORMER: None} if without_transformer else {})
    try:
        pipeline = pipeline_class.from_pretrained(
            root, torch_dtype=dtype, local_files_only=True, **parts
        )
        # the VAE by itself: model_index.json may name a class that is not in diffusers
        vae = AutoencoderKL.from_pretrained(root, subfolder="vae", torch_dtype=dtype)
        pipeline.register_modules(vae=vae)
    except OSError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{root}: cannot be loaded ({reason}); make or fetch it again") from error
    chosen = forms(root, encoder, decoder)
    if chosen["vae_factor"] == 16:
        make_pipeline_f16(pipeline, encoder=chosen["encoder"], decoder=chosen["decoder"])
    pipeline.set_progress_bar_config(disable=True)
    if not offload:
        return pipeline.to(device)
    if torch.device(device).type == "cpu":
        raise UserError("--offload moves models between GPU and memory; it needs a GPU")
    pipeline.enable_model_cpu_offload(device=device)
    return pipeline


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
                _link(file, part / name)
        for file in _files(trained):
            _link(file, part / TRANSFORMER / file.relative_to(trained))
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
    ours, theirs = (_read_json(f / "config.json").get("_class_name") for f in (trained, base))
    if ours != theirs:
        raise UserError(f"{trained}: a {ours}, but the pipeline {base.parent} has a {theirs}")


def _files(root: Path) -> list[Path]:
    """The files below `root`, links followed, sorted; none hidden, such as a download's .cache."""
    found = []
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _link(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file.resolve(), target)
    except OSError:
        shutil.copyfile(file, target)


def _read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))
