"""Code as an input: the digest of what a job runs."""

import hashlib
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from diffusion4k import backbones, digest
from diffusion4k.config.resolve import Config
from diffusion4k.dag import keys
from diffusion4k.files import walk
from diffusion4k.metrics import families


def of(
    script: str, *, backbone: str | None = None, family: str | None = None, modules=(), also=()
) -> str:
    """Digest of a script and all of ours that it imports, but for what no job of it uses.

    That is the code of other backbones, and fetching, which jobs leave to rules/sources.smk. The
    modules of its backbone and its metric family, which are imported by name, count.
    `backbone` None: of none, or of whatever class the pipeline turns out to have. `modules`: others
    that it imports by name.
    """
    opens = backbone or digest.reaches(script, backbones.STOCK)
    chosen = backbones.code(backbone) if opens else {}
    unused = () if script == "fetch.py" else ("diffusion4k.sources.fetch",)
    own = (families.module(family),) if family else ()
    return digest.digest(
        script,
        leave_out=(*chosen.get("leave_out", ()), *unused),
        with_modules=(*chosen.get("with_modules", ()), *own, *modules),
        also=tuple(also),
    )


def of_job(config: Config, script: str, **fixed: str) -> Callable[[Any], str]:
    """A function of a job's wildcards to the digest of the code that it runs.

    Whose backbone and family it is follows from the wildcards, or is given.
    """

    def text(wildcards):
        known = keys.names(config, wildcards) | fixed
        return of(script, backbone=known.get("backbone"), family=known.get("family"))

    return text


def listing(folder: str | Path, *, times: bool = True, only: Collection[str] | None = None) -> str:
    """Digest of the names, sizes and times of a folder's files, or of one file, to see changes.

    Of links also where they lead to. For what a user brings and replaces. Without `times`, and
    without hidden files, for what training depends on: a touch must not train again. `only`: of
    these suffixes, and not hidden, as what a file manager leaves beside them is.
    """
    files = [Path(folder)] if Path(folder).is_file() else walk(folder, hidden=times and not only)
    files = [path for path in files if only is None or path.suffix.lower() in only]
    stats = [(str(p), os.path.realpath(p), *_stat(p)[: 2 if times else 1]) for p in files]
    return hashlib.sha256(repr(stats).encode()).hexdigest()[:16]


def _stat(path: Path) -> tuple[int, ...]:
    """Size and time of a file; of a link to nothing, nothing."""
    return (path.stat().st_size, path.stat().st_mtime_ns) if path.exists() else ()
