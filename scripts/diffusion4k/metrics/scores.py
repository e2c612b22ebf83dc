"""Scores on disk: a parquet row an image, features in safetensors, saves of a killed job."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffusion4k import finite, manifest
from diffusion4k.errors import UserError
from diffusion4k.files import atomic, inside, sha256
from diffusion4k.manifest import Manifest


@dataclasses.dataclass(frozen=True)
class Texture:
    """A generated JPEG: its size in px and bytes, GLCM Score as released and as true entropy."""

    id: str
    height: int
    width: int
    bytes: int
    glcm: float
    glcm_entropy: float


@dataclasses.dataclass(frozen=True)
class TextureProperties(Texture):
    """The same with the other properties of the co-occurrence matrices; see metrics.glcm."""

    contrast: float
    dissimilarity: float
    homogeneity: float
    energy: float
    correlation: float
    asm: float


@dataclasses.dataclass(frozen=True)
class Alignment:
    """CLIPScore under both truncations (0 to 100), the prompt's tokens, Aesthetics (1 to 10)."""

    id: str
    clipscore_published: float
    clipscore_end_token: float
    n_tokens: int
    aesthetics: float


@dataclasses.dataclass(frozen=True)
class Quality:
    """No-reference quality, see metrics.quality: MUSIQ (0 to 100), MANIQA (0 to 1)."""

    id: str
    musiq: float
    maniqa: float


@dataclasses.dataclass(frozen=True)
class Distance:
    """A generated image against its prompt's photograph: RMSE in [0, 1], PSNR in dB."""

    id: str
    rmse: float
    psnr: float


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """A photograph against its reconstruction by the VAE; see metrics.reconstruction."""

    id: str
    nmse: float
    root_nmse: float
    psnr: float
    ssim: float
    lpips: float


# without a finite value for a photograph that is black, or the same as the other
UNBOUNDED = ("nmse", "root_nmse", "psnr")
PROPERTIES = tuple(TextureProperties.__annotations__)
Scored = tuple[Any, Mapping[str, np.ndarray]]  # an image's row and arrays


def write_rows(path: Path, kind: type, rows: Iterable[Any]) -> None:
    """Write rows (instances of the dataclass `kind`) as parquet, atomically."""
    import pyarrow as pa
    from pyarrow import parquet

    types = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    schema = pa.schema([(field.name, types[field.type]) for field in dataclasses.fields(kind)])
    table = pa.Table.from_pylist([dataclasses.asdict(row) for row in rows], schema)
    with atomic(path) as temporary:
        parquet.write_table(table, temporary)


def write_features(path: Path, **features: np.ndarray) -> None:
    """Write float32 (n, d) arrays, rows in the order of the parquet beside them, atomically."""
    from safetensors.numpy import save_file

    arrays = {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in features.items()}
    with atomic(path) as temporary:
        save_file(arrays, temporary)


def write_shard(
    output: Path, kind: type, scored: Sequence[Scored], arrays: Sequence[str] = ()
) -> list[Path]:
    """Write the rows and the named `arrays` of a shard's images beside its manifest `output`.

    Arrays are (n, d), an image's rows in turn; an empty shard's have (0, 0). Returns the files.
    """
    files = [output.with_suffix(".parquet"), output.with_suffix(".safetensors")]
    write_rows(files[0], kind, [row for row, _ in scored])
    if not arrays:
        return files[:1]
    empty = [np.empty((0, 0), np.float32)]
    stacked = {name: [features[name] for _, features in scored] or empty for name in arrays}
    write_features(files[1], **{name: np.concatenate(parts) for name, parts in stacked.items()})
    return files


def read_rows(shards: Sequence[Manifest], kind: type, expected: int) -> dict[str, np.ndarray]:
    """Columns of all shards together, in the shards' order.

    Raises UserError, naming the images, unless there are `expected` rows, of different ids, with
    finite numbers: a set with images missing must never become a smaller mean.
    """
    import pyarrow as pa
    from pyarrow import parquet

    tables = [parquet.read_table(_bulk(shard, ".parquet")) for shard in shards]
    for shard, table in zip(shards, tables, strict=True):
        missing = {field.name for field in dataclasses.fields(kind)} - set(table.column_names)
        if missing:
            raise UserError(f"{shard.path}: no column {', '.join(sorted(missing))}; score it again")
    table = pa.concat_tables(tables)
    columns = {field.name: table[field.name].to_numpy() for field in dataclasses.fields(kind)}
    _check(columns, expected, where=", ".join(str(shard.path) for shard in shards[:3]))
    return columns


def read_features(shards: Sequence[Manifest], name: str) -> np.ndarray:
    """The float32 (n, d) array `name` of all shards, in the order of read_rows."""
    from safetensors.numpy import load_file

    parts = []
    for shard in shards:
        arrays = load_file(_bulk(shard, ".safetensors"))
        if name not in arrays:
            raise UserError(f"{shard.path}: no features {name!r}, only {', '.join(arrays)}")
        parts.append(arrays[name])
    features = np.concatenate([part for part in parts if len(part)] or parts)
    if not np.isfinite(features).all():
        raise UserError(f"{shards[0].path}: NaN among the features; score its images again")
    return features


def has_features(shards: Sequence[Manifest], name: str) -> bool:
    """Whether every shard with an image in it has the array `name`."""
    from safetensors import safe_open

    held = []
    for shard in shards:
        with safe_open(_bulk(shard, ".safetensors"), framework="numpy") as file:
            held.append(name in file.keys())  # noqa: SIM118
    return all(held)


def _bulk(shard: Manifest, suffix: str) -> Path:
    for path in shard.paths():
        if path.suffix == suffix and path.is_file():
            return shard.listed(path).sound()
    raise UserError(f"{shard.path}: its {suffix[1:]} file is missing; delete it and score again")


def _check(columns: Mapping[str, np.ndarray], expected: int, where: str) -> None:
    ids = columns["id"]
    names, counts = np.unique(ids.astype(str), return_counts=True)
    if (counts > 1).any():
        raise UserError(f"{where}: {_list(names[counts > 1])} scored twice; shards overlap")
    if len(ids) != expected:
        raise UserError(
            f"{where}: {len(ids)} images scored where {expected} are expected; make the missing"
            " ones, or correct the split's count"
        )
    for name, values in columns.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            bad = _list(ids[~np.isfinite(values)])
            raise UserError(f"{where}: {name} is not a finite number for {bad}; look at the image")


def _list(ids: Sequence[str]) -> str:
    return ", ".join(map(str, ids[:10])) + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")


def key(inputs: Iterable[Path], **settings: Any) -> str:
    """Digest of what decides a row: input manifests, settings, code. Names saves."""
    parts = [*map(sha256, inputs), sorted(settings.items()), manifest.CODE]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


class SavedScores:
    """Rows and arrays of the images done so far, so that a killed job goes on where it stopped.

    They lie in a folder beside the output, one file an image, and are removed by `finish`. The
    folder carries a key: what was saved under other inputs, settings or code is dropped.
    """

    def __init__(self, output: Path, kind: type, key: str):
        self.output, self.kind = output, kind
        self.folder = output.with_suffix(".progress")
        self.saved = self.folder / key
        if self.folder.is_dir() and not self.saved.is_dir():
            shutil.rmtree(self.folder)

    def get(self, id: str) -> Scored | None:
        """The row and arrays saved for an image, or None."""
        from safetensors import safe_open

        path = self._path(id)
        if not path.is_file():
            return None
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return self.kind(**json.loads(file.metadata()["row"])), arrays

    def put(self, row: Any, **arrays: np.ndarray) -> None:
        """Save an image's row and arrays, atomically; UserError unless they are finite.

        UNBOUNDED columns are read_rows' to judge.
        """
        columns = {k: v for k, v in dataclasses.asdict(row).items() if isinstance(v, float)}
        for name, value in (columns | arrays).items():
            if name not in UNBOUNDED:
                finite.check(f"{row.id}: its {name}", value)
        from safetensors.numpy import save_file

        with atomic(self._path(row.id)) as temporary:
            save_file(arrays, temporary, {"row": json.dumps(dataclasses.asdict(row))})

    def row(self, picture: Any, score: Callable[[Any], Any]) -> Scored:
        """What is saved for a picture without arrays, or else the row of `score`, saved now."""
        if saved := self.get(picture.id):
            return saved
        row = score(picture)
        self.put(row)
        return row, {}

    def finish(self, scored: Sequence[Scored], arrays: Sequence[str] = (), **record: Any) -> None:
        """Write the shard and its manifest, then remove everything saved.

        `record`: inputs, settings, started, device and notes, as of manifest.write.
        """
        manifest.write(
            self.output,
            root=self.output.parent,
            files=write_shard(self.output, self.kind, scored, arrays),
            results={"n": len(scored)},
            **record,
        )
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, id: str) -> Path:
        return inside(self.saved, f"{id}.safetensors")
