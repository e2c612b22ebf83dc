"""Parts that were trained in their base pipeline: a diffusers folder that stands by itself."""

import json
from pathlib import Path

from diffusion4k.errors import UserError
from diffusion4k.files import anew, link, write_text
from diffusion4k.manifest import Manifest
from diffusion4k.pipelines.folder import (
    OURS,
    TRANSFORMER,
    VAE,
    PipelineFolder,
    files,
    read_json,
    same_latents,
)


def export(
    base: PipelineFolder,
    transformer_root: str | Path | None,
    out_root: str | Path,
    *,
    vae: str | Path | None = None,
    encoder: str = "stride",
    decoder: str = "folded",
) -> list[Path]:
    """Write a self-contained diffusers folder `out_root`; returns its files.

    Everything of the pipeline `base` is hard-linked (copied across file systems; links are
    followed, because hub snapshots are folders of links), but for what is given: `transformer/`
    comes from `transformer_root/transformer`, `vae/` is the folder `vae`. The new folder appears
    whole, replacing an earlier one; UserError for one with other files.
    """
    out_root, parts = Path(out_root), {}
    if transformer_root is not None:
        parts[TRANSFORMER] = Path(transformer_root) / TRANSFORMER
        _same_class(base.root / TRANSFORMER, parts[TRANSFORMER])
    if vae is not None:
        parts[VAE] = Path(vae)
        same_latents(base.root / VAE, parts[VAE])
    with anew(out_root) as part:
        for file in files(base.root):
            name = file.relative_to(base.root)
            if name.parts[0] not in (*parts, OURS):
                link(file, part / name)
        for place, folder in parts.items():
            for file in files(folder):
                link(file, part / place / file.relative_to(folder))
        if base.trains:
            forms = {"vae_factor": 16, "encoder": encoder, "decoder": decoder}
            write_text(part / OURS, json.dumps(forms, indent=1) + "\n")
    return files(out_root)


def trained_root(state: Manifest) -> Path:
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
    config = read_json(folder / "config.json")
    legacy = ("Transformer2DModel", "ada_norm_single")
    if (config.get("_class_name"), config.get("norm_type")) == legacy:
        return "PixArtTransformer2DModel"
    return config.get("_class_name")
