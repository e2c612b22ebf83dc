"""Whether a run is as its manifests say: bulk, manifests, and what each was made from."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.files import walk
from diffusion4k.ledger.chain import Run
from diffusion4k.manifest import Listed, Manifest

# what unlisted JSON lies in or is called: a training's saves, pictures' records; both look after it
APART = {"progress", "receipts"}
BEGINNING = '{\n "root"'  # of every manifest, and of no other JSON file


@dataclass
class Report:
    """What is wrong with a run; everything empty: nothing.

    `files`: manifest => its missing, truncated or altered files, each with what is wrong.
    `unreadable`: manifests that are none. `gone`: manifests that others were made from and that are
    missing, with a line each. `stale`: manifest => a line on an input that was made again since.
    """

    manifests: list[Manifest]
    files: dict[Path, list[tuple[Listed, str]]] = field(default_factory=dict)
    unreadable: dict[Path, str] = field(default_factory=dict)
    gone: dict[Path, str] = field(default_factory=dict)
    stale: dict[Path, str] = field(default_factory=dict)

    @property
    def broken(self) -> set[Path]:
        """The manifests to be made again, or whose bulk is."""
        return {*self.files, *self.unreadable, *self.gone}

    def lines(self) -> list[str]:
        """All of it for people, a line a fault."""
        lines = []
        for path, faults in self.files.items():
            lines.append(f"{path}: {len(faults)} files are broken")
            lines += [f"  {line}" for _, line in faults]
        lines += self.unreadable.values()
        return [*lines, *self.gone.values(), *self.stale.values()]


def check(
    folder: Path, *, workers: int, progress: Callable[[int], Callable[[int], object]]
) -> Report:
    """Compare every file of a run with its manifest, `workers` at a time, and every input.

    `progress` is told the bytes in all and returns what is told the bytes of each file that was
    read. Hashing runs at about 1 GB/s a core, if the disk gives as much.
    """
    damaged: dict[Path, str] = {}
    manifests = find(folder, damaged)
    report = Report(manifests, unreadable=damaged)
    files = [(owner, owner.listed(path)) for owner in manifests for path in owner.paths()]
    done = progress(sum(listed.bytes for _, listed in files))

    def look(pair: tuple[Manifest, Listed]) -> str:
        fault = pair[1].fault()
        done(pair[1].bytes)
        return fault

    with ThreadPoolExecutor(max(1, workers)) as pool:  # hashing does not hold Python's lock
        for (owner, listed), fault in zip(files, pool.map(look, files), strict=True):
            if fault:
                report.files.setdefault(owner.path, []).append((listed, fault))
    for reader in manifests:
        report.gone |= gone(reader)
    run = Run(folder)
    there = {m.path: m for m in manifests}
    for reader in manifests:
        for name, source in reader.inputs.items():
            read = there.get(run.locate(source)) or there.get(Path(source))
            # a file of the user's, such as raters' answers, is told by its bytes
            own = "" if manifest.is_one(source) else manifest.digest_of(source)
            now = read.digest if read else own
            if now and reader.digests.get(name) not in (None, "", now):
                report.stale[reader.path] = (
                    f"note: {reader.path} was made from another {source} than is there now;"
                    " snakemake makes it again (-n shows what) unless that was accepted with"
                    f" --touch: then --forcerun {reader.path} does"
                )
    return report


def find(folder: str | Path, damaged: dict[Path, str] | None = None) -> list[Manifest]:
    """Every manifest below `folder`, those of the stages: no JSON of their bulk, no crate's copies.

    UserError for one that cannot be read, or into `damaged` what is wrong with each of them. What
    is empty or no JSON object counts as one, since what nothing was made from yet is told by
    nothing else: no bulk and not APART.
    """
    manifests: list[Manifest] = []
    bulk: set[Path] = set()
    doubtful: dict[Path, str] = {}
    paths = [p for p in walk(folder) if p.suffix == ".json" and p.is_file() and p.name[0] != "."]
    crates = {path.parent for path in paths if path.name == "ro-crate-metadata.json"}
    for path in sorted(paths, key=lambda path: len(path.parts)):
        if path in bulk or not crates.isdisjoint(path.parents):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        begins = text.startswith(BEGINNING)
        try:
            record = {} if begins else json.loads(text)
            if not begins and not (record and isinstance(record, dict)):
                doubtful[path] = f"{path}: an empty JSON, or no object; delete it and run again"
            elif begins or {"root", "made", "files"} <= record.keys():
                manifests.append(manifest.read(path))
                bulk.update(manifests[-1].paths())
        except ValueError as error:
            doubtful[path] = f"{path}: not JSON ({error}); delete it and run again"
        except UserError as error:
            doubtful[path] = str(error)
    for path, reason in doubtful.items():
        if path in bulk or not APART.isdisjoint(path.with_suffix("").parts):
            continue
        if damaged is None:
            raise UserError(reason)
        damaged[path] = reason
    return manifests


def gone(reader: Manifest) -> dict[Path, str]:
    """The manifests that this one was made from and that are no longer there, with a line each.

    A failed job's are deleted by Snakemake, and a deleted one leaves what came of it. Of inputs
    that are deleted as planned, such as the ends of segments, this one keeps the records. A file of
    the user's, not below results/, is theirs to move.
    """
    sources = {
        Path(source): name for name, source in reader.inputs.items() if name not in reader.records
    }
    return {
        source: f"{source}, which {reader.path} was made from, is missing"
        for source in sources
        if not source.exists() and manifest.is_one(source)
    }


def readers(manifests: Iterable[Manifest], folder: Path) -> dict[Path, list[Manifest]]:
    """Path of a manifest => those that were made from it."""
    run, by_source = Run(folder), {}
    for reader in manifests:
        for source in reader.inputs.values():
            by_source.setdefault(run.locate(source), []).append(reader)
    return by_source


def on_bar(bar) -> Callable[[int], Callable[[int], object]]:
    """The `progress` of `check` that a tqdm bar shows, in bytes."""

    def begin(total: int) -> Callable[[int], object]:
        bar.reset(total)
        bar.unit, bar.unit_scale = "B", True
        return bar.update

    return begin
