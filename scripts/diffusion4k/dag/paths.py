"""Where a run's files are: results/<run>/<stage>/…"""

from diffusion4k.config.resolve import Config


def root(config: Config) -> str:
    """The folder of a run's results."""
    return f"results/{config['run']}"


def shards(pattern: str, count: int) -> list[str]:
    """All shard manifests of a path pattern with {shard} and {shards}."""
    return [pattern.format(shard=shard, shards=count) for shard in range(count)]
