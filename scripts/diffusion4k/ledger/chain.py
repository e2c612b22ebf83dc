"""The chain of manifests behind a result, from the result back to the sources.

Paths in manifests begin with results/<run>/; a run that was copied, or renamed, is read where it
lies (`Run.locate`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.manifest import Manifest

MADE_AGAIN = "is another than what was made from it read: it was made again since"
EDITED = "is another than what was made from it read: it was edited since"


@dataclass(frozen=True)
class Link:
    """One manifest of a chain. `name` is its path below the run, `inputs` those of its inputs.

    `fault` says why the chain does not hold here, "" where it does; `manifest` is None for what
    is missing. `kept`: the manifest is gone by design, as of a finished segment, and a later one
    keeps its record.
    """

    name: str
    manifest: Manifest | None
    inputs: tuple[str, ...]
    fault: str = ""
    kept: bool = False

    @property
    def stage(self) -> str:
        """The folder of the run that it lies in: tables, metrics, generate, train, …"""
        return self.name.partition("/")[0]

    @cached_property
    def gpu_hours(self) -> float:
        """Of its making; 0 on a CPU. "8 x NVIDIA A100" counts eight times."""
        device = self.manifest.device if self.manifest else "cpu"
        count, x, name = device.partition(" x ")
        device = name if x else device
        gpus = (int(count) if x else 1) if device not in ("cpu", "") else 0
        return gpus * self.manifest.seconds / 3600 if self.manifest else 0.0

    def record(self) -> dict[str, Any]:
        """What a person asks of a link, JSON-able; a missing one's is name and fault alone."""
        known = {"name": self.name, "stage": self.stage, "inputs": list(self.inputs)}
        known |= {"fault": self.fault, "kept": self.kept}
        if own := self.manifest:
            known |= {
                "digest": own.digest,
                "files": len(own.files),
                "bytes": sum(file.bytes for file in own.files),
                "code": own.code,
                "settings": own.settings,
                "versions": own.versions,
                "environment": own.environment,
                "device": own.device,
                "seconds": own.seconds,
                "gpu_hours": self.gpu_hours,
                "made": own.made,
                "command": own.command,
            }
        return known


class Run:
    """The manifests of a run's folder, each read once."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._read: dict[Path, Manifest] = {}

    def locate(self, source: str | Path) -> Path:
        """Where an input lies: below this run when its path names a run's folder."""
        parts = Path(source).parts
        places = [at for at, part in enumerate(parts) if part == "results" and at + 2 < len(parts)]
        mine = self.folder.joinpath(*parts[places[-1] + 2 :]) if places else Path(source)
        # a run beside a run reads what the other has made where that lies
        return Path(source) if Path(source).exists() and not mine.exists() else mine

    def name(self, path: Path) -> str:
        """A path as it is called below the run; one elsewhere as it is."""
        inside = path.is_relative_to(self.folder)
        return (path.relative_to(self.folder) if inside else path).as_posix()

    def read(self, path: Path) -> Manifest:
        """A manifest of the run; UserError when it is missing or not one."""
        if path not in self._read:
            self._read[path] = manifest.read(path)
        return self._read[path]

    def chain(self, start: Path) -> list[Link]:
        """Every link behind the manifest at `start`, itself first, sources last."""
        links: dict[Path, Link] = {}
        waiting: list[tuple[Path, str, dict | None]] = [(start, "", None)]
        while waiting:
            path, digest, record = waiting.pop(0)
            if path in links and not (links[path].manifest is None and record):
                continue
            link = self._link(path, digest, record)
            links[path] = link
            if link.manifest:
                waiting += self._inputs(link.manifest)
        return _sorted(list(links.values()))

    def _link(self, path: Path, digest: str, record: dict | None) -> Link:
        if path.suffix != ".json" or path.is_dir():
            return self._file(path, digest)
        kept = record is not None and not path.is_file()
        try:
            own = manifest.of_record(path, record) if kept else self.read(path)
        except UserError as error:
            if not manifest.is_one(path):
                return self._file(path, digest)
            missing = not path.is_file()
            return Link(self.name(path), None, (), "missing" if missing else str(error))
        fault = "" if kept else _absent(own)
        if digest and own.digest != digest:
            fault = fault or MADE_AGAIN
        names = tuple(dict.fromkeys(self.name(source) for source, *_ in self._inputs(own)))
        return Link(self.name(path), own, names, fault, kept)

    def _file(self, path: Path, digest: str) -> Link:
        """A folder, a hub's model, a file of answers, of prompts, of published numbers."""
        fault = "" if path.exists() or not path.is_relative_to(self.folder) else "missing"
        if path.is_file() and digest not in ("", manifest.digest_of(path)):
            fault = EDITED
        return Link(self.name(path), None, (), fault)

    def _inputs(self, reader: Manifest) -> Iterator[tuple[Path, str, dict | None]]:
        for name, source in reader.inputs.items():
            if source:
                yield self.locate(source), reader.digests.get(name, ""), reader.records.get(name)


def _absent(owner: Manifest) -> str:
    """The first file of the bulk that is missing or has another size; contents are not read."""
    for path, file in zip(owner.paths(), owner.files, strict=True):
        if not path.is_file():
            return f"{path}: missing"
        if (size := path.stat().st_size) != file.bytes:
            return f"{path}: {size} bytes, the manifest says {file.bytes}"
    return ""


def _sorted(links: list[Link]) -> list[Link]:
    """The links so that each comes before all that it was made from, else in the order given."""
    by_name = {link.name: link for link in links}
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        stack = [(name, iter(by_name[name].inputs))]
        while stack:
            at, rest = stack[-1]
            following = next((n for n in rest if n in by_name and n not in done), None)
            if following is None:
                done.setdefault(at)
                stack.pop()
            elif all(following != seen for seen, _ in stack):
                stack.append((following, iter(by_name[following].inputs)))

    for link in links:
        if link.name not in done:
            visit(link.name)
    return [by_name[name] for name in reversed(done)]
