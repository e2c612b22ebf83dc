"""Where a run's files are: results/<run>/<stage>/…"""

from diffusion4k.config.resolve import Config


def root(config: Config) -> str:
    """The folder of a run's results."""
    return f"results/{config['run']}"


def shards(stem: str, count: int) -> list[str]:
    """The manifests of all shards, <stem>-<i>-of-<count>.json."""
    return [f"{stem}-{shard}-of-{count}.json" for shard in range(count)]
