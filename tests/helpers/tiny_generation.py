"""A miniature generation for tests: two pipelines, three prompts, two steps."""

import generate
import tiny
from diffusion4k import manifest


def make_sources(root):
    """The two pipelines and three prompts, each with its manifest."""
    for name in ("sd3", "flux"):
        tiny.save_pipeline(name, root)
    tiny.save_dataset(root, count=3, folder="eval")
    return root


def run(*flags):
    generate.run(generate.parser().parse_args([*map(str, flags)]))


def make(sources, folder, *more, model="sd3", shard=0, shards=1):
    output = folder / f"shard-{shard}-of-{shards}.json"
    small = ["--height", 32, "--width", 64, "--steps", 2, "--t5-tokens", 8, "--device", "cpu"]
    files = ["--model", sources / f"{model}.json", "--dataset", sources / "data.json"]
    where = ["--folder", "eval", "--shard", shard, "--shards", shards, "--output", output]
    run(*files, *small, *where, *more)
    return manifest.read(output)


def contents(folder):
    return {path.name: path.read_bytes() for path in (folder / "images").iterdir()}
