"""Two runs of the same tables: which numbers differ, by how much, and where the runs part."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from diffusion4k.ledger import trace
from diffusion4k.ledger.chain import Link, Run

NORMAL = 1.96  # standard errors to either side of a 95 % interval


@dataclass(frozen=True)
class Difference:
    """A cell whose numbers differ. `share`: of the width that chance explains, None without one.

    `share` is |b - a| over the root of the sum of the squared half-widths of both 95 % intervals.
    `parting`: the links nearest the sources at which the chains differ, each with what differs.
    """

    cell: trace.Cell
    a: float | None
    b: float | None
    share: float | None
    parting: tuple[tuple[str, tuple[str, ...]], ...]

    def lines(self) -> list[str]:
        """For people."""
        if self.a is None or self.b is None:
            numbers = (
                f"{'none' if self.a is None else self.a} → {'none' if self.b is None else self.b}"
            )
        else:
            width = "no interval" if self.share is None else f"{self.share:.2g} of its intervals"
            numbers = f"{self.a:.6g} → {self.b:.6g} ({self.b - self.a:+.3g}, {width})"
        head = f"{self.cell.table}, {self.cell.row}, {self.cell.column}: {numbers}"
        return [head, *(f"    parts at {name}: {'; '.join(why)}" for name, why in self.parting)]


def compare(a: Run, b: Run) -> tuple[int, list[Difference]]:
    """How many cells both runs have a table for, and those whose numbers differ."""
    count, differences = 0, []
    for path in sorted((a.folder / "tables").glob("*.json")):
        other = b.folder / "tables" / path.name
        if not other.is_file():
            continue
        of_b = {(c.row, c.column): c for c in trace.cells(b.read(other))}
        for cell in trace.cells(a.read(path)):
            if (theirs := of_b.get((cell.row, cell.column))) is None:
                continue
            count += 1
            if cell.value != theirs.value:
                share = _share(_shown(a.read(path), cell), _shown(b.read(other), theirs))
                both = cell.value is not None and theirs.value is not None
                where = tuple(parting(trace.trace(a, cell), trace.trace(b, theirs))) if both else ()
                differences.append(Difference(cell, cell.value, theirs.value, share, where))
    return count, differences


def parting(a: list[Link], b: list[Link]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The links at which two chains part: that differ and whose inputs are the same in both.

    What a run takes from another by `reuse:` is what it would have made in its own folder.
    """
    ours, theirs = ({_place(link.name): link for link in chain} for chain in (a, b))
    for place, link in reversed(ours.items()):
        other = theirs.get(place)
        if other is None:
            yield place, ("only in the first run",)
        elif not _same(link, other) and all(
            name in theirs and _same(ours[name], theirs[name])
            for name in map(_place, link.inputs)
            if name in ours
        ):
            yield place, tuple(reasons(link, other))
    for place in theirs.keys() - ours.keys():
        yield place, ("only in the second run",)


def _place(name: str) -> str:
    """A link's name below its run's folder, also where that is another run's."""
    return re.sub(r"^(.*/)?results/[^/]+/", "", name)


def reasons(a: Link, b: Link) -> Iterator[str]:
    """What differs in how a link was made: settings, code, versions, device, machine."""
    if a.manifest is None or b.manifest is None:
        yield "missing in one of them"
        return
    ours, theirs = _settings(a.manifest.settings), _settings(b.manifest.settings)
    keys = [key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
    yield from (f"{key} {ours.get(key)} → {theirs.get(key)}" for key in keys)
    facts = {
        "code": (a.manifest.code, b.manifest.code),
        "device": (a.manifest.device, b.manifest.device),
        **{
            name: (a.manifest.versions.get(name), b.manifest.versions.get(name))
            for name in sorted(a.manifest.versions.keys() & b.manifest.versions.keys())
        },
        **{
            name: (a.manifest.environment.get(name), b.manifest.environment.get(name))
            for name in ("processor", "driver", "lock", "commit")
        },
    }
    differ = {name: values for name, values in facts.items() if values[0] != values[1]}
    yield from (
        f"{name} {ours or 'none'} → {theirs or 'none'}" for name, (ours, theirs) in differ.items()
    )
    if not keys and not differ:
        sources = not a.inputs and not b.inputs
        yield "other data" if sources else "nothing recorded differs: last bits of the device?"


def _same(a: Link, b: Link) -> bool:
    if a.manifest is None or b.manifest is None:
        return a.manifest is b.manifest
    return a.manifest.digest == b.manifest.digest


def _settings(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as text, with the names of the runs' folders left out."""
    return {k: re.sub(r"results/[^/\s'\"]+/", "results/…/", str(v)) for k, v in settings.items()}


def _shown(table, cell: trace.Cell) -> dict[str, Any]:
    row = next(row for row in table.results["rows"] if row["key"] == cell.row)
    return row["cells"][cell.column]


def _share(a: Mapping[str, Any], b: Mapping[str, Any]) -> float | None:
    widths = [_half_width(a), _half_width(b)]
    if None in widths or a["ours"] is None or b["ours"] is None:
        return None
    width = math.hypot(*widths)
    return abs(b["ours"] - a["ours"]) / width if width else None


def _half_width(cell: Mapping[str, Any]) -> float | None:
    if interval := cell.get("interval"):
        return (interval[1] - interval[0]) / 2
    return NORMAL * cell["standard_error"] if cell.get("standard_error") else None
