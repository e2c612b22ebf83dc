# Needs: config (as Snakemake merged it).
# Gives: the words that every rule is written in:
#
#   "<results>/…", "<logs>/…", "<benchmarks>/…"   the run's folders
#   CONFIG                   the configuration, resolved and checked
#   key("latents.size")      the value of a key; names in braces are the job's wildcards, or follow
#                            from them (scripts/diffusion4k/dag/keys.py)
#   flags(size=key(…), …)    command-line flags; in `params`, so that a changed key runs the job again
#   each("model", of, …)     what a flag takes of several models, JSON: the values of each that `of`
#                            names, as of a job with this {model} too (w.model)
#   named(pairs)             and of files, NAME=FILE each
#   in_and_out, pace         and of a price, of `save_every`: key(…, then=pace)
#   shape.text, .height, …   and of a size
#   code("texture.py")       digest of a script, or of the module that does a script's work, and of
#                            all of ours that it imports and that decides bytes
#   **asks("latents")        memory, minutes, GPUs and launch line, from resources.<step> and `site`
#   threads("latents")       its cores
#   footer("table_3")        what of a table's or figure's settings is not as in the paper
#   alternatives(names)      a wildcard constraint that matches these alone
#   LINEAGE.behind(files)    for a target, all files that these rest on
#   UserError                what a helper raises: a line for people
#   R, CONDA                 the run's folder; whether conda makes the environments of jobs
#
# A stage's own helpers are in the module of its name in scripts/diffusion4k/dag (what looks over the
# whole run: in run/ beside it), which its rule file imports. What a rule file sets it alone uses
# (tests/house/test_rules.py).
import gc
import sys
from functools import partial
from pathlib import Path

from snakemake.exceptions import WorkflowError

# what Snakemake has imported stays until the end; the collector would look through it again and
# again while the DAG is built, a fifth of the time in which it finds nothing to do
gc.freeze()
sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))
from diffusion4k.config import resolve as configuration
from diffusion4k.dag import code as digests, keys, paths, resources, reuse
from diffusion4k.dag.deviations import Deviations
from diffusion4k.dag.flags import alternatives, named
from diffusion4k.dag.lineage import Lineage
from diffusion4k.errors import UserError
from diffusion4k import shape, streams

streams.names_in_utf8()  # here and in all jobs
streams.prepare()  # what is printed here dies in no locale

DEPLOYMENT = workflow.deployment_settings.deployment_method
CONDA = "conda" in map(str, DEPLOYMENT)
OWN_FILES = [Path(path) for path in workflow.overwrite_configfiles]
DEFAULTS = [path for path in map(Path, workflow.configfiles) if path not in OWN_FILES]

try:
    # before they are merged, which would keep one of two equal keys without a word
    configuration.check_files(path for path in [*DEFAULTS, *OWN_FILES] if path.is_file())
    config = configuration.merged(
        workflow.config_settings.overwrite_config,
        *(list(filter(Path.is_file, files)) for files in (OWN_FILES, DEFAULTS)),
        Path(workflow.basedir) / "config",
    )
    CONFIG = configuration.resolve(config)
    if "reuse" in CONFIG and workflow.is_main_process:
        paths.reuse(CONFIG["run"], reuse.decide(config, DEPLOYMENT))
except UserError as error:
    raise WorkflowError(str(error)) from None

key = partial(keys.key, CONFIG)
flags = partial(keys.flags, CONFIG)
each = partial(keys.each, CONFIG)
code = partial(digests.of_job, CONFIG)
asks = partial(resources.asked, CONFIG)
threads = partial(resources.threads, CONFIG)
in_and_out, pace = keys.in_and_out, keys.pace
R = paths.root(CONFIG)
LINEAGE = Lineage(CONFIG, workflow.rules)
footer = Deviations(CONFIG, LINEAGE).footer


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
    prompts=alternatives(CONFIG["prompts"]),
    figure=alternatives(CONFIG["figures"]),
    shard=r"\d+",
    shards=r"\d+",
    step=r"\d{6}",
