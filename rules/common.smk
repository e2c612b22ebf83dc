# Needs: config (as Snakemake merged it).
# Gives: CONFIG, resolved and checked, and the words that every rule is written in:
#
#   "<results>/…", "<logs>/…", "<benchmarks>/…"   the run's folders
#   key("latents.size")      the value of a key; names in braces are the job's wildcards, or follow
#                            from them (scripts/diffusion4k/dag/keys.py)
#   flags(size=key(…), …)    command-line flags; in `params`, so that a changed key runs the job again
#   code("latents.py")       digest of a script and of all of ours that it imports
#   **asks("latents")        memory, minutes, GPUs and launch line, from resources.<step> and `site`
#   threads("latents")       its cores
#
# A stage's own helpers are in the module of its name in scripts/diffusion4k/dag.
import sys
from functools import partial
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))
from diffusion4k.config import resolve as configuration
from diffusion4k.dag import code as digests, keys, paths, resources
from diffusion4k.dag.flags import alternatives
from diffusion4k.errors import UserError
from diffusion4k import streams

streams.prepare()  # what is printed here dies in no locale

given = [*workflow.configfiles, *workflow.overwrite_configfiles]  # Snakemake drops equal keys
try:
    configuration.check_files(dict.fromkeys(path for path in given if Path(path).is_file()))
    CONFIG = configuration.resolve(config)
except UserError as error:
    raise WorkflowError(str(error)) from None

key = partial(keys.key, CONFIG)
flags = partial(keys.flags, CONFIG)
code = partial(digests.of_job, CONFIG)
asks = partial(resources.asked, CONFIG)
threads = partial(resources.threads, CONFIG)
R = paths.root(CONFIG)


pathvars:
    results=R,
    logs=f"{R}/logs",
    benchmarks=f"{R}/benchmarks",


wildcard_constraints:
    backbone=alternatives(CONFIG["backbones"]),
    vae=alternatives(CONFIG["vaes"]),
    model=alternatives(CONFIG["models"]),
    evaluation=alternatives(CONFIG["evaluations"]),
    split=alternatives(CONFIG["splits"]),
    table=alternatives(CONFIG["tables"]),
    figure=alternatives(CONFIG["figures"]),
    shard=r"\d+",
    shards=r"\d+",
    step=r"\d{6}",
