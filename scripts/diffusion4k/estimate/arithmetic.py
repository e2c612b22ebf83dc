"""The arithmetic of a run's stages, for the report, which holds it against what they took."""

import json

from diffusion4k.config.resolve import Config
from diffusion4k.dag import report, train, vae
from diffusion4k.estimate import cost


def of_run(config: Config) -> str:
    """{"stage/model…": [FLOPs of all its jobs, jobs]} as JSON, of what the cost model counts.

    Of a training, whose segments' ends say how far it is: [FLOPs, steps].
    """
    steps = {chain.rule: config[chain.section]["steps"] for chain in (train.CHAIN, vae.CHAIN)}
    keys = [("latents", name) for name in config["backbones"]]
    keys += [("train", name) for name in train.trained(config)]
    keys += [("train_vae", name) for name in vae.trained(config)]
    keys += [("generate", *pair) for pair in report.scored(config)]
    keys += [("reconstruct", name) for name in config["vaes"]]
    counted = ((key, cost.of(config, key)) for key in keys)
    known = {"/".join(k): [c.flops, steps.get(k[0], c.jobs)] for k, c in counted if c.flops}
    return json.dumps(known)
