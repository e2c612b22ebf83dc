# Needs: the resolved configuration.
# Gives: COMMAND, the command line as Snakemake read it, and what happens before the first job, in
#        this order: the interpreter that jobs run in; what Snakemake would drop of the command line
#        is refused; the lock of a killed run is released (at parsing, since Snakemake takes its own
#        right after); notes: what is taken from another run, a run that was copied without
#        Snakemake's records, which tables your models are rows of; once the jobs are known, what
#        they lack (licences, a hub that answers, MUSIQ's environment) and what a killed run left in
#        SLURM's queue; the resolved configuration is saved.
from diffusion4k.cluster import leftovers
from diffusion4k.config import models
from diffusion4k.dag import preflight

CONDA = "conda" in {str(method) for method in workflow.deployment_settings.deployment_method}
IQA_BIN = Path(".venv-iqa/bin").absolute()  # what `make env-iqa` makes

preflight.use_own_interpreter()

if workflow.is_main_process:
    COMMAND = preflight.command_line()
    try:
        preflight.check_command_line(sys.argv[1:], COMMAND, OWN_FILES, CONFIG.get("base"))
    except UserError as error:
        raise WorkflowError(str(error)) from None
    if not workflow.dryrun:
        leftovers.release_dead_lock()
    notes = [reuse.note(CONFIG)] if "reuse" in CONFIG else []
    notes += preflight.copied(CONFIG)
    for line in [*notes, *models.row_notes(CONFIG)]:
        print(f"note: {line}", file=sys.stderr)


onstart:
    try:
        preflight.check(CONFIG, workflow, iqa=None if CONDA else IQA_BIN)
        leftovers.settle(workflow)
    except UserError as error:
        raise WorkflowError(str(error)) from None
    configuration.save(CONFIG, f"{R}/config.yaml")
    reuse.save(CONFIG)
