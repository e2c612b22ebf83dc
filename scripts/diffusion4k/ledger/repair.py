"""Make again exactly what is broken, and what lies downstream only if its bytes differ.

A broken manifest is put aside, what is broken of its bulk is deleted, and Snakemake makes it again:
the job takes over what is whole. Where the bytes come out as they were, the old manifest is put
back with its time, and nothing downstream has changed for Snakemake. One that lists measured files,
which differ from run to run, takes the old one's time instead: it alone is true of them.
"""

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.ledger.ask import SNAKEMAKE, ask
from diffusion4k.ledger.check import Report, readers
from diffusion4k.manifest import Manifest

ASIDE = ".aside"


@dataclass
class Outcome:
    """What a repair has done.

    `same`: made again with the bytes of before. `other`: manifest => what was made from it.
    `waiting`: as broken as before, for they are made from one of `other`.
    """

    same: list[Path] = field(default_factory=list)
    other: dict[Path, list[Path]] = field(default_factory=dict)
    waiting: list[Path] = field(default_factory=list)


def repair(
    report: Report, folder: Path, arguments: Sequence[str], outcome: Outcome | None = None
) -> Outcome:
    """Make again what a report names, with Snakemake under `arguments` (config file, cores, …).

    Level by level: what is made from something broken waits until that is whole, and longer where
    its bytes are others. `outcome` is filled on the way, also where an error ends it.

    UserError when jobs would run that are not broken (code or configuration was edited since), when
    a job fails, or for data of the user's, which nobody else can mend; the manifests are put back.
    """
    own = [listed for faults in report.files.values() for listed, _ in faults if listed.own]
    if own:
        raise UserError(f"{own[0].path}: your own data, mend it first; {own[0].remedy()}")
    by_path = {m.path: m for m in report.manifests}
    by_input = readers(report.manifests, folder)
    outcome, left = outcome or Outcome(), set(report.broken)
    while left:
        level = {path for path in left if not _above(path, by_input, left)}
        _level(report, by_path, by_input, sorted(level), arguments, outcome)
        left -= level
        later = {path for paths in outcome.other.values() for path in paths}
        outcome.waiting += sorted(left & later)
        left -= later
    return outcome


def recover(folder: Path) -> None:
    """Put back what a repair that was killed had put aside, where nothing has come since."""
    for kept in sorted(folder.rglob(f".*.json{ASIDE}")):
        path = kept.with_name(kept.name.removeprefix(".").removesuffix(ASIDE))
        if not path.is_file() or manifest.read(path).digest == manifest.read(kept).digest:
            _put_back(kept, path)
        else:
            kept.unlink()


def _above(path: Path, by_input: dict[Path, list[Manifest]], broken: set[Path]) -> bool:
    """Whether `path` was made, at whatever remove, from another of `broken`."""
    return any(path in downstream(other, by_input) for other in broken - {path})


def downstream(path: Path, by_input: dict[Path, list[Manifest]]) -> list[Path]:
    """All that was made from a manifest, at whatever remove."""
    reached: dict[Path, None] = {}
    waiting = [path]
    while waiting:
        for reader in by_input.get(waiting.pop(), ()):
            if reader.path not in reached:
                reached[reader.path] = None
                waiting.append(reader.path)
    return list(reached)


def _level(report, by_path, by_input, level: list[Path], arguments, outcome: Outcome) -> None:
    before = {path: _Aside(path) for path in level}
    try:
        _check_plan(level, arguments)
        for path in level:
            for listed, _ in report.files.get(path, ()):
                _delete(listed.path, path.parent)
        _snakemake(level, arguments)
    except UserError:
        for aside in before.values():
            aside.back()
        raise
    for path in level:
        _settle(path, by_path.get(path), before[path], by_input, outcome)


def _settle(path: Path, old: Manifest | None, aside: "_Aside", by_input, outcome: Outcome) -> None:
    """Compare with what was there, or with what its readers say of it; if equal, nothing is new."""
    now, using = manifest.read(path), by_input.get(path, [])
    recorded = {m.digests.get(n, "") for m in using for n, s in m.inputs.items() if _same(s, path)}
    known = {old.digest} if old else recorded - {""}
    if known != {now.digest}:
        outcome.other[path] = downstream(path, by_input)
        aside.drop()
        return
    outcome.same.append(path)
    if old:
        aside.back()
    elif using:
        aside.drop()
        age(path, min(m.path.stat().st_mtime_ns for m in using) - 1)


def _same(source: str, path: Path) -> bool:
    return Path(source).parts[-3:] == path.parts[-3:]


class _Aside:
    """A manifest that was put aside, with the times by which Snakemake judges it and its folder."""

    def __init__(self, path: Path):
        self.path = path
        self.kept = path.with_name(f".{path.name}{ASIDE}")
        self.there = path.is_file()
        if self.there:
            path.replace(self.kept)

    def back(self) -> None:
        """Where it was, and its folder no newer; a manifest that was missing stays away."""
        if self.there:
            _put_back(self.kept, self.path)

    def drop(self) -> None:
        """For good."""
        self.kept.unlink(missing_ok=True)


def _put_back(kept: Path, path: Path) -> None:
    """Put a manifest back where it was; of one made since with measured files, give it the time."""
    time = kept.stat().st_mtime_ns
    if _measured_anew(kept, path):
        kept.unlink()
    else:
        kept.replace(path)
    age(path, time)


def _measured_anew(kept: Path, path: Path) -> bool:
    """Whether `path` was made again with the bytes of before, but for files that are measured."""
    try:
        old, new = manifest.read(kept), manifest.read(path)
    except UserError:  # missing, or damaged
        return False
    return old.digest == new.digest and any(file.measured for file in new.files)


def age(path: Path, time: int) -> None:
    """Let Snakemake take a manifest, and the folder of its name, for as old as this (ns)."""
    folder = path.with_suffix("")
    for each in (path, folder / ".snakemake_timestamp", folder):
        if each.exists():
            os.utime(each, ns=(time, time))


def _delete(path: Path, folder: Path) -> None:
    """A broken file, and what in its stage's folder is the same file: saves are hard links."""
    if path.is_file() and (stat := path.stat()).st_nlink > 1:
        for other in folder.rglob("*"):
            if other.is_file() and os.path.samestat(other.stat(), stat):
                other.unlink()
    path.unlink(missing_ok=True)


def _check_plan(level: Iterable[Path], arguments: Sequence[str]) -> None:
    """UserError when more would run than what is broken and the temporary files that it needs."""
    text = ask([*arguments, "-n", "--nolock", "--rerun-incomplete", "--", *map(str, level)])
    outputs = re.findall(r"^    output: (.*)$", text, flags=re.MULTILINE)
    temporary = set(re.findall(r"^Would remove temporary output (\S+)", text, flags=re.MULTILINE))
    jobs = [[name.strip() for name in line.split(",")] for line in outputs]
    wanted = set(map(str, level))
    more = [job[0] for job in jobs if not wanted & set(job) and not temporary & set(job)]
    if more:
        raise UserError(
            f"{', '.join(sorted(wanted))}: to make it again, {len(more)} more jobs would run, such"
            f" as {more[0]}: code or configuration has changed since (scripts/why.py says what);"
            " run the target itself, or accept the change with snakemake --touch first"
        )


def _snakemake(level: Iterable[Path], arguments: Sequence[str]) -> None:
    command = [*SNAKEMAKE, *arguments, "--nolock", "--rerun-incomplete", "--", *map(str, level)]
    if subprocess.run(command).returncode:
        raise UserError(f"{', '.join(map(str, level))}: could not be made again, see above")
