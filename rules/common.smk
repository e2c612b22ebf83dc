# Needs: config (as Snakemake merged it).
# Gives: CONFIG (resolved and checked), R (the run's results folder), S and P (file names and flags
#        of the stages and of the paper's tables and figures), and the check for hub tokens.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))
from diffusion4k.config import resolve as configuration
from diffusion4k.config import models
from diffusion4k.cluster import leftovers as takeover
from diffusion4k.dag import use_own_interpreter
from diffusion4k.dag.flags import alternatives, flags
from diffusion4k.dag.paper import Paper
from diffusion4k.dag.stages import Stages
from diffusion4k.errors import UserError
from diffusion4k.sources import hub

use_own_interpreter()

try:
    CONFIG = configuration.resolve(config)
except UserError as error:
    raise WorkflowError(str(error)) from None

if workflow.is_main_process and not workflow.dryrun:
    takeover.release_dead_lock()

if workflow.is_main_process:
    for line in models.row_notes(CONFIG):
        print(f"note: {line}", file=sys.stderr)

S = Stages(CONFIG)
P = Paper(S)
R = S.root


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


LICENCES = {}  # source -> what it needs, of the gated ones that are to be fetched


def check_licence(wildcards):
    """Note that a gated repository needs a token and an accepted licence; see check_licences."""
    need = S.licence(wildcards.source)
    if not need or Path(S.source(wildcards.source)).exists() or hub.offline():
        return []
    if wildcards.source not in LICENCES and (workflow.dryrun or hub.token_is_set()):
        found = "a token is set" if hub.token_is_set() else "no token is set"
        print(f"note: {need} ({found})", file=sys.stderr)
    LICENCES[wildcards.source] = need
    return []


def check_licences():
    """Before any job starts: all that lacks a token, a line each."""
    if LICENCES and not hub.token_is_set():
        raise UserError("\n".join(LICENCES.values()))


CONDA = "conda" in {str(method) for method in workflow.deployment_settings.deployment_method}
IQA_BIN = Path(".venv-iqa/bin").absolute()


def check_iqa(wildcards):
    """Before any job starts: no-reference quality needs an environment of its own."""
    if not (CONDA or workflow.dryrun or (IQA_BIN / "python").exists()):
        raise WorkflowError("MUSIQ and MANIQA need .venv-iqa: run `make env-iqa` (or --sdm conda)")
    return []
