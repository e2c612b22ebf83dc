"""What every stage of the DAG shares: the resolved configuration, digests of code."""

from diffusion4k import config as configuration
from diffusion4k import digest


class Common:
    """One resolved configuration as the rules see it: names, digests of code.

    Methods named `…_flags` take a job's wildcards; the strings they return are in the rules'
    `params`, so a job re-runs when, and only when, the slice of the configuration that it uses has
    changed.
    """

    def __init__(self, config: configuration.Config):
        self.config = config
        self.root = f"results/{config['run']}"
        self.trained = [name for name, model in config["models"].items() if "recipe" in model]
        self.fetched = [
            n for n, s in config["sources"].items() if configuration.origin(s) != "make"
        ]
        self.made = [name for name in config["sources"] if name not in self.fetched]
        steps, segment = config["train"]["steps"], config["train"]["segment"]
        self.segments = [*range(segment, steps, segment), steps]
        self.kept = [s for s in self.segments if s == steps or s in config["train"]["keep"]]

    # what every rule needs

    def code(self, script: str, *, backbone: str | None = None, also=()) -> str:
        """Digest of a script and all of ours that it imports, but for the other backbones."""
        others = [name for name in self.config["backbones"] if backbone and name != backbone]
        leave_out = tuple(f"diffusion4k.backbones.{name}" for name in others)
        return digest.digest(script, leave_out=leave_out, also=tuple(also))

    def shards(self, pattern: str, count: int) -> list[str]:
        """All shard manifests of a path pattern with {shard} and {shards}."""
        return [pattern.format(shard=shard, shards=count) for shard in range(count)]

    def backbone(self, model: str) -> str:
        """Which backbone a model is made from."""
        return self.config["models"][model]["backbone"]
