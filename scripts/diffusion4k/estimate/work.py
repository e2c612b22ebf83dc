"""The arithmetic of a run's stages, for the report, which holds it against what they took."""

import json

from diffusion4k.config.resolve import Config
from diffusion4k.dag import report
from diffusion4k.dag import train as training
from diffusion4k.estimate import cost


def of_run(config: Config) -> str:
    """{"stage/model…": [FLOPs of all its jobs, jobs]} as JSON, of what the cost model counts."""
    keys = [("latents", name) for name in config["backbones"]]
    keys += [("train", name) for name in training.trained(config)]
    keys += [("generate", *pair) for pair in report.scored(config)]
    keys += [("reconstruct", name) for name in config["vaes"]]
    costs = {"/".join(key): cost.of(config, key) for key in keys}
    return json.dumps({name: [c.flops, c.jobs] for name, c in costs.items() if c.flops})
