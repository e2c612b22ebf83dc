"""What every stage of the DAG shares: the resolved configuration, digests of code."""

import hashlib
from pathlib import Path

from diffusion4k import backbones, digest
from diffusion4k.config import resolve as configuration


class Common:
    """One resolved configuration as the rules see it: names, digests of code.

    Methods named `…_flags` take a job's wildcards; the strings they return are in the rules'
    `params`, so a job re-runs when, and only when, the slice of the configuration that it uses has
    changed.
    """

    def __init__(self, config: configuration.Config):
        self.config = config
        self.root = f"results/{config['run']}"
        models = config["models"].items()
        self.trained = [name for name, model in models if "recipe" in model]
        self.exported = [name for name, model in models if {"recipe", "transformer"} & set(model)]
        self.adopted = [name for name, model in models if "images" in model]
        self.sampled = [name for name in config["models"] if name not in self.adopted]
        self.fetched = [
            n for n, s in config["sources"].items() if configuration.origin(s) != "make"
        ]
        self.made = [name for name in config["sources"] if name not in self.fetched]
        steps, segment = config["train"]["steps"], config["train"]["segment"]
        self.segments = [*range(segment, steps, segment), steps]
        self.kept = [s for s in self.segments if s == steps or s in config["train"]["keep"]]

    # what every rule needs

    def code(self, script: str, *, backbone: str | None = None, also=()) -> str:
        """Digest of a script and all of ours that it imports, but for what no job of it uses.

        That is the code of other backbones, and fetching, which jobs leave to rules/sources.smk.
        `backbone` None: of none, or of whatever class the pipeline turns out to have.
        """
        own = backbone or digest.reaches(script, backbones.STOCK)
        chosen = backbones.code(backbone) if own else {}
        unused = () if script == "fetch.py" else ("diffusion4k.sources.fetch",)
        return digest.digest(
            script,
            leave_out=(*chosen.get("leave_out", ()), *unused),
            with_modules=chosen.get("with_modules", ()),
            also=tuple(also),
        )

    def listing(self, folder: str | Path) -> str:
        """Digest of the names, sizes and times of a folder's files, so that changed ones are seen.

        For what a user brings and replaces; of nothing that training depends on, because a touch
        must not train again.
        """
        found = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
        stats = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in found]
        return hashlib.sha256(repr(stats).encode()).hexdigest()[:16]

    def shards(self, pattern: str, count: int) -> list[str]:
        """All shard manifests of a path pattern with {shard} and {shards}."""
        return [pattern.format(shard=shard, shards=count) for shard in range(count)]

    def backbone(self, model: str) -> str | None:
        """Which backbone a model is made from; None for one from elsewhere."""
        return self.config["models"][model].get("backbone")
