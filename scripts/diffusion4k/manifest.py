"""The small JSON that ends every stage: what was made, from what, by which settings, how long.

Snakemake tracks the manifest; the bulk (images, latents, checkpoints) lies beside it, below
`root`. A manifest is written last and atomically, so that its presence says that its bulk was whole
then. Whether it still is, who reads it asks: `Manifest.sound`.
"""

import hashlib
import json
import os
import shlex
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from diffusion4k import cli, digest, environment
from diffusion4k.errors import UserError
from diffusion4k.files import inside, sha256, write_text

# taken when the process starts, so that it is the code that ran and not a later edit of it
CODE = digest.of_this_process()
MODULES = digest.modules_of_this_process()


@dataclass(frozen=True)
class File:
    """One file of the bulk: `name` relative to the root, size in bytes, hex SHA-256.

    `measured`: it also holds how long things took, or another thing of the process that decides
    nothing, so that its bytes differ from run to run.
    """

    name: str
    bytes: int
    sha256: str
    measured: bool = False


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
        if self.own:
            again = f"snakemake … --forcerun {self.source} -- {self.source}"
            return (
                f"if that is meant, list the files anew, with the run's configuration: {again};"
                " what was made from them is then made again (snakemake -n shows what)"
            )
        return "`snakemake … -- repair`, with the run's configuration, makes it again and no other"

    def sound(self) -> Path:
        """`path`; UserError, with what to run, when it is not what the manifest means.

        It reads the file once more, at about 1 GB/s a core.
        """
        if fault := self.fault():
            raise UserError(f"{fault} (listed in {self.source}); {self.remedy()}")
        return self.path


@dataclass(frozen=True)
class Manifest:
    """A manifest as read from `path`; `seconds` is wall-clock time, `results` holds numbers.

    `inputs` has the path of what it was made from, `digests` its `digest` then ("" for a folder or
    a hub's model). `records` are whole manifests of inputs that do not stay, such as the segment
    that a training went on from. `environment`: commit, dirty, lock, processor, driver.
    """

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
    digests: dict[str, str] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """16 hex digits of what was made: names and SHA-256 of the bulk, without one the results.

        When, how fast and on what it was made does not count.
        """
        content = [(file.name, file.sha256) for file in self.files if not file.measured]
        record = json.dumps(content or self.results, sort_keys=True)
        return hashlib.sha256(record.encode()).hexdigest()[:16]

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
    measured: Iterable[Path] = (),
    keep: Iterable[str] = (),
) -> None:
    """Write the manifest of `files`, all of them below `root`, whose making began at `started`.

    `inputs` names the manifests this one was made from; `started` is time.time(). Numbers in
    `results` must be finite: a NaN is a ValueError here, so that it never reaches a table.
    `measured` are the files that hold times and such, too; `keep` names inputs that will be deleted
    and whose own manifests are kept in this one.
    """
    path, root, measured = Path(path), Path(root), set(measured)
    record = {
        # a root below the manifest's own folder moves with it: results/ can be copied elsewhere
        "root": _relative(root, path.parent),
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(time.time() - started, 3),
        "device": environment.device(device),
        "command": shlex.join(["python", *sys.argv]),  # to be copied into a shell
        "code": CODE,
        "modules": MODULES,
        "versions": environment.versions(),
        "environment": environment.checkout() | environment.machine(),
        "inputs": {name: str(source) for name, source in inputs.items()},
        "digests": {name: digest_of(source) for name, source in inputs.items()},
        "records": {name: _record(inputs[name]) for name in keep},
        "settings": {key: _plain(value) for key, value in settings.items()},
        "results": dict(results or {}),
        "notes": list(dict.fromkeys(notes)),
        "files": [_file(root, file, file in measured) for file in sorted(map(Path, files))],
    }
    _write_json(path, record)


def read(path: str | Path) -> Manifest:
    """Read a manifest; UserError when it is missing or not one."""
    path = Path(path)
    try:
        return of_record(path, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such manifest; with the run's configuration `snakemake … -- {path}`"
            " makes it"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: not a manifest ({error}); delete it and run again") from None


def of_record(path: Path, record: Mapping[str, Any]) -> Manifest:
    """The manifest that a record means which lies, or lay, at `path`; KeyError, TypeError if none.

    Records of another's `records` are such.
    """
    files = [File(**file) for file in record["files"]]
    return Manifest(
        **{**record, "path": path, "root": path.parent / record["root"], "files": files}
    )


def is_one(path: str | Path) -> bool:
    """Whether an input is a manifest, if a damaged or missing one, or else a file of the user's.

    Such are raters' answers, JSON too, without a manifest's fields. What is missing, empty, or no
    JSON object is told by its place: manifests lie below results/.
    """
    path = Path(path)
    if path.suffix != ".json":
        return False
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = None
    if not record or not isinstance(record, dict):
        return "results" in path.absolute().parts
    return {"root", "files"} <= record.keys()


def verify(manifest: Manifest) -> list[str]:
    """Compare the bulk with the manifest; one line for each file missing, cut short or changed."""
    faults = (manifest.listed(path).fault() for path in manifest.paths())
    return [fault for fault in faults if fault]


def digest_of(source: str | Path) -> str:
    """What an input is: a manifest's `digest`, another file's SHA-256 (16 digits), else ""."""
    source = Path(source)
    if not source.is_file():
        return ""
    if source.suffix == ".json":
        try:
            return read(source).digest
        except UserError:
            pass
    return sha256(source)[:16]


def _write_json(path: Path, record: dict) -> None:
    write_text(path, json.dumps(record, indent=1, allow_nan=False) + "\n")


def _file(root: Path, path: Path, measured: bool) -> dict[str, Any]:
    name = str(path.relative_to(root))
    entry = {"name": name, "bytes": path.stat().st_size, "sha256": sha256(path)}
    return entry | ({"measured": True} if measured else {})


def _record(path: str | Path) -> dict[str, Any]:
    """A manifest to be kept in another, without what only `why` asks for."""
    record = json.loads(Path(path).read_text(encoding="utf-8"))
    return {key: value for key, value in record.items() if key != "modules"}


def _relative(root: Path, folder: Path) -> str:
    root, folder = root.absolute(), folder.absolute()
    return str(root.relative_to(folder)) if root.is_relative_to(folder) else str(root)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
