# Needs: config (as Snakemake merged it).
# Gives: CONFIG (resolved and checked), R (the run's results folder), and the helpers that rules
#        use: flags, code, ask, shards, alternatives.
import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))
from diffusion4k import config as configuration
from diffusion4k import digest
from diffusion4k.errors import UserError

# `python` in a rule is the interpreter beside this snakemake, until a conda environment wins.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

try:
    CONFIG = configuration.resolve(config, Path(workflow.basedir) / "config" / "schema.yaml")
except UserError as error:
    raise WorkflowError(str(error)) from None

R = f"results/{CONFIG['run']}"
SEED = CONFIG["seed"]


def flags(**values):
    """Command-line flags: True is --key, False is --no-key, None is left out, a list is spread."""
    words = []
    for key, value in values.items():
        flag = "--" + key.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        elif isinstance(value, (list, tuple)):
            words += [flag, *map(shlex.quote, map(str, value))]
        elif value is not None:
            words += [flag, shlex.quote(str(value))]
    return " ".join(words)


def code(script, *, backbone=None, also=()):
    """Digest of a script and all of ours that it imports: it goes into `params`, so that a real
    edit re-runs the jobs it reaches. A job of one backbone does not depend on the others."""
    others = [name for name in CONFIG["backbones"] if backbone and name != backbone]
    return digest.digest(
        script, leave_out=[f"diffusion4k.backbones.{name}" for name in others], also=also
    )


def ask(step, key):
    """What the configuration lets a step ask for: threads, mem_mb (more by attempt), runtime, gpu."""
    value = CONFIG["resources"][step].get(key, 0)
    if key == "mem_mb":
        return lambda wildcards, attempt: value * (2 + attempt) // 3
    return value


def shards(pattern, count):
    """All `count` shard manifests of a path pattern with {shard} and {shards}."""
    return [pattern.format(shard=shard, shards=count) for shard in range(count)]


def alternatives(names):
    """A wildcard constraint that matches these names and nothing else."""
    return "|".join(names) or "(?!)"


def backbone_of(model):
    return CONFIG["models"][model]["backbone"]


def size_of(evaluation):
    return CONFIG["evaluations"][evaluation]["size"]


TRAINED = [name for name, model in CONFIG["models"].items() if "recipe" in model]


wildcard_constraints:
    backbone=alternatives(CONFIG["backbones"]),
    model=alternatives(CONFIG["models"]),
    evaluation=alternatives(CONFIG["evaluations"]),
    split=alternatives(CONFIG["splits"]),
    table=alternatives(CONFIG["tables"]),
    figure=alternatives(CONFIG["figures"]),
    shard=r"\d+",
    shards=r"\d+",
    step=r"\d{6}",
