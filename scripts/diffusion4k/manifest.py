"""The small JSON that ends every stage: what was made, from what, by which settings, how long.

Snakemake tracks the manifest; the bulk (images, latents, checkpoints) lies beside it, below
`root`. A manifest is written last and atomically, so that its presence says that its bulk is whole.
"""

import json
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffusion4k import digest
from diffusion4k.errors import UserError
from diffusion4k.files import inside, sha256, write_text

# taken when the process starts, so that it is the code that ran and not a later edit of it
CODE = digest.of_this_process()
MODULES = digest.modules_of_this_process()


@dataclass(frozen=True)
class File:
    """One file of the bulk: `name` relative to the root, size in bytes, hex SHA-256."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """A manifest as read from `path`; `seconds` is wall-clock time, `results` holds numbers."""

    path: Path
    root: Path
    files: list[File]
    inputs: dict[str, str]
    settings: dict[str, Any]
    results: dict[str, Any]
    notes: list[str]
    seconds: float
    device: str
    command: str
    code: str = ""
    modules: dict[str, str] = field(default_factory=dict)
    made: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    def paths(self) -> list[Path]:
        """The files of the bulk."""
        return [inside(self.root, file.name) for file in self.files]


def write(
    path: str | Path,
    *,
    root: str | Path,
    files: Iterable[Path],
    inputs: Mapping[str, str | Path],
    settings: Mapping[str, Any],
    results: Mapping[str, Any] | None = None,
    started: float,
    device: str = "cpu",
    notes: Iterable[str] = (),
) -> None:
    """Write the manifest of `files`, all of them below `root`, whose making began at `started`.

    `inputs` names the manifests this one was made from; `started` is time.time(). Numbers in
    `results` must be finite: a NaN is a ValueError here, so that it never reaches a table.
    """
    path, root = Path(path), Path(root)
    record = {
        # a root below the manifest's own folder moves with it: results/ can be copied elsewhere
        "root": _relative(root, path.parent),
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.time() - started, 3),
        "device": device,
        "command": " ".join(sys.argv),
        "code": CODE,
        "modules": MODULES,
        "versions": _versions(),
        "inputs": {name: str(source) for name, source in inputs.items()},
        "settings": {key: _plain(value) for key, value in settings.items()},
        "results": dict(results or {}),
        "notes": list(dict.fromkeys(notes)),
        "files": [_file(root, file) for file in sorted(map(Path, files))],
    }
    _write_json(path, record)


def read(path: str | Path) -> Manifest:
    """Read a manifest; UserError when it is missing or not one."""
    path = Path(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        record.update(
            path=path,
            root=path.parent / record["root"],
            files=[File(**file) for file in record["files"]],
        )
        return Manifest(**record)
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such manifest; with the run's configuration `snakemake … {path}` makes it"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: not a manifest ({error}); delete it and run again") from None


def find(folder: str | Path) -> list[Manifest]:
    """Every manifest below `folder`, those of the stages and not JSON files of their bulk."""
    found: list[Manifest] = []
    bulk: set[Path] = set()
    for path in sorted(Path(folder).rglob("*.json"), key=lambda path: len(path.parts)):
        if path in bulk:
            continue
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path}: not JSON ({error}); delete it and run again") from None
        if isinstance(record, dict) and {"root", "made", "files"} <= record.keys():
            found.append(read(path))
            bulk.update(found[-1].paths())
    return found


def verify(manifest: Manifest) -> list[str]:
    """Compare the bulk with the manifest; one line for each file missing, cut short or changed."""
    broken = []
    for file, path in zip(manifest.files, manifest.paths(), strict=True):
        if not path.is_file():
            broken.append(f"{path}: missing")
        elif path.stat().st_size != file.bytes:
            broken.append(f"{path}: {path.stat().st_size} bytes, the manifest says {file.bytes}")
        elif sha256(path) != file.sha256:
            broken.append(f"{path}: its content has changed (sha256)")
    return broken


def gone(manifest: Manifest) -> list[str]:
    """The manifests that this one was made from and that are no longer there.

    A failed job's are deleted by Snakemake, and a deleted one leaves what came of it. The ends of
    training segments are temporary: those before one that is there do not count.
    """
    lost = []
    for source in dict.fromkeys(map(Path, manifest.inputs.values())):
        later = source.name.startswith("step-") and any(
            other.name > source.name for other in source.parent.glob("step-*.json")
        )
        if source.suffix == ".json" and not source.exists() and not later:
            lost.append(f"{source}, which {manifest.path} was made from, is missing")
    return lost


def _write_json(path: Path, record: dict) -> None:
    write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


def _file(root: Path, path: Path) -> dict[str, Any]:
    name = str(path.relative_to(root))
    return {"name": name, "bytes": path.stat().st_size, "sha256": sha256(path)}


def _relative(root: Path, folder: Path) -> str:
    root, folder = root.absolute(), folder.absolute()
    return str(root.relative_to(folder)) if root.is_relative_to(folder) else str(root)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _versions() -> dict[str, str]:
    """Python and those of the project's libraries that this process has imported."""
    names = ("torch", "diffusers", "transformers", "accelerate", "deepspeed", "numpy", "PIL")
    found = {name: getattr(sys.modules.get(name), "__version__", "") for name in names}
    return {"python": platform.python_version()} | {k: v for k, v in found.items() if v}
