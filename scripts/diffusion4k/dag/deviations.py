"""What a table or a figure depends on that is not as in the paper, for its footer.

Which keys a job uses stands in its rule (keys.py), and the rules say on which jobs a table rests
(lineage.py); so a new key of a rule, a new rule, a new table need no line here.
"""

import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from diffusion4k.config import fidelity, resolve
from diffusion4k.config.resolve import Config
from diffusion4k.dag import figures, keys, paper
from diffusion4k.dag.lineage import Lineage
from diffusion4k.metrics import families

PAPER = Path(__file__).resolve().parents[3] / "config" / "config.yaml"
OWN = ("figures", "prompts", "tables")  # sections whose further entries are no deviation
SHOWN = 8  # values of one section; of further keys the names

Path_ = tuple[str, ...]


class Deviations:
    """`lineage` tells the jobs behind a table.

    A rule's params may be functions with `.keys` and `.of_rows`, as keys.flags makes them; so may
    its `execution` among resources, how a training is run, on which its speed depends.
    """

    def __init__(self, config: Config, lineage: Lineage):
        self._config, self._lineage = config, lineage
        self.footer = cache(self._footer)

    def _footer(self, target: str) -> list[str]:
        """What the run is, the fidelity rows that the target depends on, then what else differs."""
        used = self._used(target)
        dotted = {".".join(path) for path in used}
        rows = fidelity.describe(self._config, dotted)
        changed = {
            path: (own, published)
            for path, (own, published) in used.items()
            if not _same(own, published)
            and not fidelity.described(self._config, ".".join(path))
            and not (path[0] == "sources" and self._is_the_papers(path[1]))
            and not (path[0] in OWN and path[1] not in of_paper()[path[0]])
        }
        about = self._config.get("about")
        said = f"{fidelity.ABOUT}{about}" if about else ""
        return [line for line in (said, rows, _line(changed)) if line]

    def _is_the_papers(self, source: str) -> bool:
        """Whether a source is one of the paper's by another name, or a part of it."""
        whole = [_whole(entry) for entry in of_paper()["sources"].values()]
        return (
            source in self._config["sources"] and _whole(self._config["sources"][source]) in whole
        )

    def _used(self, target: str) -> dict[Path_, tuple[Any, Any]]:
        """path of a key => (its value, the paper's), ABSENT where it is not set.

        What a figure sets for all of its models may stand for several values of the paper's, one a
        model: then none is its.
        """
        used: dict[Path_, Any] = {}
        paper_has: dict[Path_, list[Any]] = {}
        for alternatives, known in self._groups(target):
            filled = (keys.filled(self._config, p, known) for p in alternatives)
            paths = [path for path in filled if path]
            values = [(path, keys.at(self._config, path)) for path in paths]
            ours = next((v for v in values if v[1] is not keys.ABSENT), None)
            published = (keys.at(of_paper(), path) for path in paths)
            theirs = next((v for v in published if v is not keys.ABSENT), keys.ABSENT)
            if ours or theirs is not keys.ABSENT:
                path, value = ours or (paths[0], keys.ABSENT)
                for leaf, own, other in _leaves(path, value, theirs):
                    used[leaf] = own
                    others = paper_has.setdefault(leaf, [])
                    if other is not keys.ABSENT and other not in others:
                        others.append(other)
        one = {leaf: others[0] for leaf, others in paper_has.items() if len(others) == 1}
        return {leaf: (own, one.get(leaf, keys.ABSENT)) for leaf, own in used.items()}

    def _groups(self, target: str) -> Iterator[tuple[Path_, dict[str, str]]]:
        """(alternative keys, the names in their braces) of each job that the target rests on."""
        of, columns, files = (), (), figures.files(self._config, [target])
        if target in self._config["tables"]:
            files = paper.tables(self._config, [target])
            of = paper.families_of(self._config, target)
            columns = self._config["tables"][target]["columns"]
        if target in self._config["figures"]:
            yield from (((f"figures.{target}.{what}",), {}) for what in ("rows", "prompts"))
        for column in columns:
            for name, (_, other) in families.columns().items():
                if other.corrected and column in (name, other.corrected[1]):
                    yield (other.corrected[0],), {}
        for job in self._lineage.jobs(files):
            wildcards = dict(job.wildcards)
            if wildcards.get("shard", "0") != "0":
                continue  # shards are alike
            carriers = list(job.rule.params)
            if "training" in of and "execution" in job.rule.resources:
                # Snakemake's Resource, of which nothing public gives the function
                carriers.append(job.rule.resources["execution"]._evaluator)
            known = keys.names(self._config, wildcards)
            for carrier in carriers:
                used = [(getattr(carrier, "keys", ()), known)]
                used += [of for rows in getattr(carrier, "of_rows", ()) for of in rows(wildcards)]
                for groups, names in used:
                    for group in groups:
                        yield from self._with_sources(group, names)

    def _with_sources(self, group: Path_, known: dict[str, str]):
        """A key's alternatives, and the keys that tell the names in braces of those that count."""
        yield group, known
        for pattern in group:
            for name in keys.braces(pattern):
                if inner := keys.source(self._config, name, known):
                    yield from self._with_sources((inner,), known)
            if keys.look_up(self._config, pattern, known) is not keys.ABSENT:
                break


def _same(own: Any, published: Any) -> bool:
    """Whether two values mean the same: one is the list of one, a square's side both of its."""

    def bare(value: Any) -> Any:
        while isinstance(value, list) and value and all(item == value[0] for item in value):
            value = value[0]
        return value

    return bare(own) == bare(published)


def _leaves(path: Path_, own: Any, published: Any) -> Iterator[tuple[Path_, Any, Any]]:
    """A key, or those of a section, each with its two values."""
    if not isinstance(own, dict):
        yield path, own, published
        return
    theirs = published if isinstance(published, dict) else {}
    for name in dict.fromkeys([*own, *theirs]):
        pair = (of.get(name, keys.ABSENT) for of in (own, theirs))
        yield from _leaves((*path, name), *pair)


def _whole(source: Config) -> Config:
    """A source without what says which of its files are fetched."""
    return {name: value for name, value in source.items() if name != "only"}


@cache
def of_paper() -> Config:
    """The paper's own configuration, resolved."""
    return resolve.resolve(resolve.read(PAPER))


def _line(changed: dict[Path_, tuple[Any, Any]]) -> str:
    """One line, a group a section; of sources the names alone, whose notes say what they are."""
    groups: dict[str, list[str]] = {}
    for path, (own, published) in sorted(changed.items()):
        if path[0] == "sources":
            groups["sources"] = [*dict.fromkeys([*groups.get("sources", []), path[1]])]
            continue
        depth = len(path) - 1
        if len(path) > 2 and path[1] not in of_paper()[path[0]]:
            depth = 2  # an entry of one's own: a recipe, a model
        head, name = ".".join(path[:depth]), ".".join(path[depth:])
        groups.setdefault(head, []).append(f"{name} = {_text(own)}{_bracket(path, published)}")
    parts = []
    for head, entries in groups.items():
        if head != "sources":
            entries = [*entries[:SHOWN], *(entry.partition(" = ")[0] for entry in entries[SHOWN:])]
        parts.append(f"{head}: {', '.join(entries)}" if head else ", ".join(entries))
    return f"{fidelity.DIFFERS}{'; '.join(parts)}" if parts else ""


def _bracket(path: Path_, published: Any) -> str:
    if published is not keys.ABSENT:
        # where both differ, what is configured as the paper's is what its code does
        whose = "released code" if fidelity.governed(".".join(path)) else "paper"
        return f" ({whose}: {_text(published)})"
    own = len(path) > 2 and path[1] not in of_paper()[path[0]]
    return "" if own else " (paper: not set)"


def _text(value: Any) -> str:
    text = "not set" if value is keys.ABSENT else str(value)
    return textwrap.shorten(text, 80, placeholder=" …") or '""'
