"""The small JSON that ends every stage: what was made, from what, by which settings, how long.

Snakemake tracks the manifest; the bulk (images, latents, checkpoints) lies beside it, below
`root`. A manifest is written last and atomically, so that its presence says that its bulk was whole
then. Whether it still is, who reads it asks: `Manifest.sound`.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from diffusion4k import cli, digest
from diffusion4k.errors import UserError
from diffusion4k.files import inside, sha256, walk, write_text

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
class Listed:
    """A file as the manifest `source` lists it, to be compared when it is read; small to pickle.

    `sha256` is "" for a file that is not listed. `own`: it lies in a folder of the user's, who may
    have meant to edit it.
    """

    path: Path
    bytes: int
    sha256: str
    source: Path
    own: bool

    def fault(self) -> str:
        """What is wrong with it, in a line; "" for the bytes that the manifest means."""
        if not self.sha256:
            return f"{self.path}: not among the files that {self.source} lists"
        if not self.path.is_file():
            return f"{self.path}: missing"
        if (size := self.path.stat().st_size) != self.bytes:
            return f"{self.path}: {size} bytes, the manifest says {self.bytes}"
        if sha256(self.path) != self.sha256:
            return f"{self.path}: its content has changed (sha256)"
        return ""

    def remedy(self) -> str:
        """What to do about a fault."""
        again = f"snakemake … --forcerun {self.source} -- {self.source}"
        if self.own:
            return (
                f"if that is meant, list the files anew, with the run's configuration: {again};"
                " what was made from them is then made again (snakemake -n shows what)"
            )
        return f"delete it and make it again, with the run's configuration: {again}"

    def sound(self) -> Path:
        """`path`; UserError, with what to run, when it is not what the manifest means.

        It reads the file once more, at about 1 GB/s a core.
        """
        if fault := self.fault():
            raise UserError(f"{fault} (listed in {self.source}); {self.remedy()}")
        return self.path


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
        return list(self._listed)

    def listed(self, path: str | Path) -> Listed:
        """A file of the bulk, or one that should be, as it is listed."""
        path = Path(os.path.normpath(path))
        return self._listed.get(path) or Listed(path, 0, "", self.path, self._own)

    def within(self, *folders: str) -> list[Path]:
        """The files of the bulk that lie in these folders of the root."""
        return [path for path in self.paths() if path.relative_to(self._top).parts[0] in folders]

    def sound(self, paths: Iterable[Path] | None = None) -> list[Path]:
        """`paths`, by default the whole bulk, compared with what was made.

        UserError with the first one that is missing or changed, and what to run.
        """
        files = map(self.listed, self.paths() if paths is None else paths)
        with ThreadPoolExecutor(cli.threads()) as pool:  # hashing does not hold Python's lock
            return list(pool.map(Listed.sound, files))

    @property
    def _top(self) -> Path:
        return Path(os.path.normpath(self.root))

    @property
    def _own(self) -> bool:
        return bool(self.settings.get("path"))  # of fetch.py: used where it lies

    @cached_property
    def _listed(self) -> dict[Path, Listed]:
        files = ((inside(self.root, file.name), file) for file in self.files)
        return {p: Listed(p, f.bytes, f.sha256, self.path, self._own) for p, f in files}


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
    paths = [path for path in walk(folder) if path.suffix == ".json" and path.is_file()]
    for path in sorted(paths, key=lambda path: len(path.parts)):
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
    faults = (manifest.listed(path).fault() for path in manifest.paths())
    return [fault for fault in faults if fault]


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
