"""A pipeline on disk, opened once: what it is, in which forms its VAE works, and loading it.

A model is given as a manifest (its root is the diffusers folder) or as the folder itself. Beside
model_index.json an exported pipeline has a small diffusion4k.json, because `save_pretrained` has no
place for the VAE's factor: {"vae_factor": 16, "encoder": "stride", "decoder": "folded"}.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from diffusion4k import backbones, digest, manifest
from diffusion4k.backbones.base import Sampled
from diffusion4k.damage import loading
from diffusion4k.errors import OTHER_CODE, UserError
from diffusion4k.files import whole
from diffusion4k.manifest import Manifest
from diffusion4k.weights import SAFELY, variant

INDEX, OURS, TRANSFORMER, VAE = "model_index.json", "diffusion4k.json", "transformer", "vae"


@dataclass(frozen=True)
class PipelineFolder:
    """A diffusers folder; `notes` are those of its manifest, `class_name` its pipeline's.

    `parts`: what model_index.json says of each part. `contents`: (name, a text that changes with
    the content) of each file. `record`: the manifest, None for a folder that was given as such.
    `own_vae`: the manifest of a VAE in place of the pipeline's.
    """

    root: Path
    class_name: str
    parts: dict[str, Any]
    notes: tuple[str, ...] = ()
    contents: tuple[tuple[str, str], ...] = ()
    record: Manifest | None = None
    own_vae: Manifest | None = None

    @classmethod
    def open(cls, path: str | Path) -> "PipelineFolder":
        """The pipeline that `path`, a manifest or a diffusers folder, stands for.

        UserError when it is none, or its class is code of its own.
        """
        path, record = Path(path), None
        if path.is_dir():
            root, notes = path, ()
            stats = [(str(file.relative_to(path)), file.stat()) for file in files(path)]
            contents = tuple((name, f"{s.st_size} {s.st_mtime_ns}") for name, s in stats)
        else:
            record = manifest.read(path)
            root, notes = record.root, tuple(record.notes)
            contents = tuple(sorted((file.name, file.sha256) for file in record.files))
        if not (root / INDEX).is_file():
            raise UserError(f"{path}: no {INDEX} in {root}; it is no diffusers pipeline")
        if record:
            record.sound(root / name for name in (INDEX, OURS) if (root / name).is_file())
        parts = read_json(root / INDEX)
        name = parts.get("_class_name")
        if not isinstance(name, str):
            raise UserError(f"{root}: its pipeline is code of its own ({name}); {OTHER_CODE}")
        return cls(root, name, parts, notes, contents, record)

    def with_vae(self, path: str | Path) -> "PipelineFolder":
        """This pipeline with the VAE of the manifest `path`: a pipeline's, or one by itself.

        UserError for one of other latents.
        """
        record = manifest.read(path)
        same_latents(self.root / VAE, vae_folder(record))
        vae = tuple(sorted((f"{VAE}/{file.name}", file.sha256) for file in record.files))
        others = tuple(f for f in self.contents if not f[0].startswith(f"{VAE}/"))
        notes = (*self.notes, *(note for note in record.notes if note not in self.notes))
        return replace(self, own_vae=record, contents=others + vae, notes=notes)

    @property
    def trains(self) -> bool:
        """Whether a backbone's module is for this class; one without is only sampled."""
        return backbones.of_class(self.class_name) is not None

    @cached_property
    def backbone(self) -> Sampled:
        """What the sampler knows of it; UserError for a class that it cannot sample."""
        if backbone := backbones.of_class(self.class_name):
            return backbone
        from diffusion4k.pipelines.stock import Stock

        return Stock(self.class_name)

    def fingerprint(self, *, transformer: bool) -> str:
        """A digest of the files, with or without those of the transformer."""
        kept = [f for f in self.contents if transformer or not f[0].startswith(f"{TRANSFORMER}/")]
        return hashlib.sha256(json.dumps(kept).encode()).hexdigest()[:16]

    def code(self, script: str) -> str:
        """Digest of the code by which `script` makes something with this pipeline.

        Not that of other kinds of pipelines, nor fetching's, which decides no byte.
        """
        own = backbones.code(self.backbone.name) if self.trains else {}
        leave_out = (*own.get("leave_out", ()), "diffusion4k.sources.fetch")
        return digest.digest(script, leave_out=leave_out, with_modules=own.get("with_modules", ()))

    def check_files(self, *, transformer: bool) -> None:
        """UserError when its parts, with or without the transformer, are not what the manifest
        means: some seconds for 24 GB. A folder that was given as such has none.
        """
        if self.record:
            parts = [part for part in self.parts if transformer or part != TRANSFORMER]
            self.record.sound(self.record.within(*parts))
        if self.own_vae:
            self.own_vae.sound(self.own_vae.within(VAE) or None)

    def forms(
        self,
        encoder: str | None = None,
        decoder: str | None = None,
        vae_factor: int | None = None,
    ) -> dict[str, Any]:
        """{"vae_factor", "encoder", "decoder"}: the arguments, else diffusion4k.json, else F16.

        A `stride` in vae/config.json, which the released training code understands, counts too: 2
        is F16 with the strided encoder, 1 is plain F8. A pipeline of no backbone keeps its own VAE,
        whatever encoder and decoder say: its forms are None.
        """
        if not self.trains:
            if vae_factor is not None:
                kinds = " and ".join(backbones.NAMES)
                raise UserError(
                    f"{self.root}: vae_factor is for {kinds}; a {self.class_name} has its own"
                )
            return {"vae_factor": None, "encoder": None, "decoder": None}
        chosen: dict[str, Any] = {"vae_factor": 16, "encoder": "stride", "decoder": "folded"}
        config = self.root / "vae" / "config.json"
        stride = read_json(config).get("stride") if config.is_file() else None
        if stride is not None:
            chosen["vae_factor"] = 8 * int(stride)
        if (self.root / OURS).is_file():
            chosen.update(read_json(self.root / OURS))
        given = {"encoder": encoder, "decoder": decoder, "vae_factor": vae_factor}
        chosen |= {key: value for key, value in given.items() if value is not None}
        if (factor := chosen["vae_factor"]) not in (8, 16):
            raise UserError(f"{self.root}: a VAE of factor {factor}; only 8 and 16 are known")
        return chosen

    def load(
        self,
        *,
        dtype,
        device,
        forms: dict[str, Any] | None = None,
        without_transformer: bool = False,
        offload: bool = False,
        tiling: bool = False,
    ):
        """The pipeline on `device` in `dtype`; a backbone's with its VAE in `forms()`, or `forms`.

        `without_transformer` is for encoding text and images. `offload` keeps on the GPU only the
        model at work, `tiling` lets the VAE work in overlapping tiles. Nothing is downloaded, and
        no code that came with the weights is run.
        """
        import torch

        from diffusion4k.vae.f16 import make_pipeline_f16

        chosen = self.forms() if forms is None else forms
        lacking = [n for n, e in self.parts.items() if e == [None, None] and "text_encoder" in n]
        if without_transformer and lacking:
            raise UserError(
                f"{self.root}: was saved without {', '.join(lacking)}: it can be sampled, but texts"
                " to train with need every encoder; give the whole pipeline"
            )
        self._check_code()
        self.check_files(transformer=not without_transformer)
        with loading(self.root, "a pipeline that diffusers can load"):
            pipeline = self._from_pretrained(dtype, without_transformer)
        if chosen["vae_factor"] == 16:
            make_pipeline_f16(pipeline, encoder=chosen["encoder"], decoder=chosen["decoder"])
        if tiling:
            if not hasattr(pipeline.vae, "enable_tiling"):
                kind = type(pipeline.vae).__name__
                raise UserError(f"{self.root}: a {kind} has no tiling; leave it off")
            pipeline.vae.enable_tiling()
        pipeline.set_progress_bar_config(disable=True)
        if not offload:
            return pipeline.to(device)
        if torch.device(device).type == "cpu":
            raise UserError("--offload moves models between GPU and memory; it needs a GPU")
        pipeline.enable_model_cpu_offload(device=device)
        return pipeline

    def _from_pretrained(self, dtype, without_transformer: bool):
        """The pipeline as it lies, from safetensors; a backbone's VAE by itself."""
        import diffusers

        options = {"torch_dtype": dtype, "variant": variant(self.root)} | SAFELY
        if not self.trains:
            return self.backbone.load(self.root, **options)
        # what a pipeline was saved without, such as SD3's T5, diffusers wants to be told
        left_out = {part: None for part, entry in self.parts.items() if entry == [None, None]}
        left_out |= {"vae": None} | ({TRANSFORMER: None} if without_transformer else {})
        pipeline_class = getattr(diffusers, self.class_name)
        pipeline = pipeline_class.from_pretrained(self.root, **options, **left_out)
        # model_index.json may name a VAE class that is not in diffusers; the weights must fit ours
        folder = vae_folder(self.own_vae) if self.own_vae else self.root / VAE
        vae, info = diffusers.AutoencoderKL.from_pretrained(
            folder, output_loading_info=True, **options | {"variant": variant(folder)}
        )
        amiss = [f"{key}: {min(map(str, keys))}" for key, keys in info.items() if keys]
        if amiss:
            what = "; ".join(amiss)
            raise UserError(f"{self.root}: its VAE is no AutoencoderKL ({what}); {OTHER_CODE}")
        pipeline.register_modules(vae=vae)
        return pipeline

    def _check_code(self) -> None:
        """UserError for a part whose class is neither in diffusers nor in transformers."""
        from diffusers import pipelines as known

        for part, entry in self.parts.items():
            if not isinstance(entry, list) or part == "vae" and self.trains:
                continue
            library = entry[0]
            if library not in (None, "diffusers", "transformers") and not hasattr(known, library):
                raise UserError(
                    f"{self.root}: {part} is a {'.'.join(entry)}, own code; {OTHER_CODE}"
                )


def vae_folder(record: Manifest) -> Path:
    """The folder of a VAE's weights: of a pipeline, or of a training's end, its `vae`."""
    inside = record.root / VAE
    return inside if inside.is_dir() else record.root


def same_latents(ours: Path, theirs: Path) -> None:
    """UserError unless both folders hold a VAE, of one class and with as many latent channels."""
    kinds = []
    for folder in (ours, theirs):
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder}: no VAE there (config.json is missing)")
        config = read_json(folder / "config.json")
        kinds.append((config.get("_class_name"), config.get("latent_channels")))
    if kinds[0] != kinds[1]:
        names = [f"{kind} of {channels} channels" for kind, channels in kinds]
        raise UserError(f"{theirs}: a {names[1]} cannot take the place of a {names[0]} ({ours})")


def files(root: Path) -> list[Path]:
    """The files below `root`, links followed, sorted; none hidden, such as a download's .cache."""
    return whole(root, hidden=False)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
