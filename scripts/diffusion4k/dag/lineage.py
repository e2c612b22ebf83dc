"""All that a target rests on: every file that the jobs behind it make, read from the rules.

Snakemake does not miss an intermediate file whose downstream exists: after a job has failed (its
outputs are deleted then) the same command would say that there is nothing to be done, and an old
table would stand. It does miss an input of the target itself. So targets name their whole chain,
and a file that is asked for is a target as well. Of training only what is kept: the ends of other
segments are temporary.

tests/dag/test_lineage.py holds this against the DAG that Snakemake builds.
"""

import os
from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError
from snakemake.io import is_flagged
from snakemake.output_index import OutputIndex

from diffusion4k.config.resolve import Config
from diffusion4k.dag import paths


@dataclass(frozen=True)
class Job:
    """A rule with its wildcards; what it reads, and what it makes that stays, without folders.

    `reused`: another run made it, and this one makes nothing by it.
    """

    name: str
    wildcards: tuple[tuple[str, str], ...]
    reused: bool
    rule: Any = field(compare=False)
    inputs: tuple[str, ...] = field(compare=False)
    outputs: tuple[str, ...] = field(compare=False)


class Lineage:
    """`rules` are Snakemake's; they are read when first asked, when all of them are there."""

    def __init__(self, config: Config, rules: Iterable):
        self._config, self._rules = config, rules
        self._index = cache(lambda: OutputIndex(list(self._rules)))
        self._job = cache(self._made_by)

    def jobs(self, files: Iterable[str]) -> Iterator[Job]:
        """The jobs that make these files, and all that those rest on; each once.

        Those of a run that is reused, too, as this run would make them.
        """
        waiting, seen = list(files), set()
        while waiting:
            job = self._job(waiting.pop())
            if job and job not in seen:
                seen.add(job)
                yield job
                waiting += job.inputs

    def behind(self, files: Iterable[str]) -> list[str]:
        """All files that stay of the jobs that make these, and of those behind them.

        Of a run that is reused those that this one reads.
        """
        named: dict[str, None] = {}
        for job in self.jobs(files):
            read = (f for f in job.inputs if paths.own(self._config, f) != f)
            named |= dict.fromkeys([] if job.reused else [*job.outputs, *read])
        return list(named)

    def asked(self, command: Namespace) -> dict[str, str]:
        """The targets of a command line that are files which a rule makes and that stay.

        Each as it was typed, and its path. WorkflowError for what cannot name all that it rests on,
        while that is missing and would not be made: a file that is to be forced as well, which
        Snakemake would take for the target of its name; a rule that makes a file.
        """
        forced = [*command.forcerun, *(command.targets if command.force else ())]
        for word in filter(os.path.isabs, forced):
            if self._job(path := os.path.relpath(word)):
                raise WorkflowError(f"{word}: Snakemake would not force it; write {path}")
        again = set(map(os.path.relpath, forced))
        making = {rule.name: rule.output for rule in self._rules if not rule.has_wildcards()}
        files = {}
        for word in command.targets:
            path = str(making[word][0]) if making.get(word) else os.path.relpath(word)
            job = self._job(path)
            if not job or path not in job.outputs:
                continue
            is_forced = not again.isdisjoint({word, path})
            if word not in making and not is_forced:
                files[word] = path
            elif not command.forceall and (missing := self._hidden(job, is_forced)):
                raise WorkflowError(
                    f"{missing[0]}: missing, {word} rests on it and would not have it made: first,"
                    f" without forcing anything, snakemake … -- {path}"
                )
        return files

    def _hidden(self, job: Job, forced: bool) -> list[str]:
        """What is missing behind a job, and Snakemake does not miss: what is made of it stands."""
        runs = forced or not all(Path(file).exists() for file in job.outputs)
        waiting, standing, outputs = list(job.inputs), [], set(job.outputs)
        while waiting:
            file = waiting.pop()
            if not runs or Path(file).exists():
                standing.append(file)
            elif file not in outputs and (maker := self._job(file)):
                outputs.update(maker.outputs, [file])
                waiting += maker.inputs
        return [f for f in self.behind(standing) if f not in outputs and not Path(f).exists()]

    def _made_by(self, file: str) -> Job | None:
        """The job that makes a file, or would if it were not another run's; None without a rule."""
        own = paths.own(self._config, file)
        for rule in self._index().match_producers(own):
            wildcards = rule.get_wildcards(own)
            outputs = rule.expand_output(wildcards)[0]
            stays = (f for f in outputs if not is_flagged(f, "temp") and not f.is_directory)
            return Job(
                name=rule.name,
                wildcards=tuple(sorted(wildcards.items())),
                reused=own != file,
                rule=rule,
                inputs=tuple(map(str, rule.expand_input(wildcards)[0])),
                outputs=tuple(map(str, stays)),
            )
        return None
