# Needs: the resolved configuration.
# Gives: what happens before the first job, in this order: the interpreter that jobs run in; what
#        Snakemake would drop of the command line is refused; the lock of a killed run is released
#        (at parsing, since Snakemake takes its own right after); notes: what is taken from another
#        run, a run that was copied without Snakemake's records, which tables your models are rows
#        of; once the jobs are known, what they lack (licences, a hub that answers, MUSIQ's
#        environment) and what a killed run left in SLURM's queue: where it left jobs, these are
#        cancelled and Snakemake starts anew, since it took them for running; the resolved
#        configuration is saved. What a run takes from another, and keys that come twice, are
#        checked before that, as the configuration is resolved (common.smk).
import sys

from snakemake.exceptions import WorkflowError

from diffusion4k.run import preflight

preflight.use_own_interpreter()

if workflow.is_main_process:
    try:
        preflight.check_command_line(
            sys.argv[1:], workflow.overwrite_configfiles, CONFIG.get("base")
        )
    except UserError as error:
        raise WorkflowError(str(error)) from None
    if not workflow.dryrun:
        preflight.release_dead_lock()
    for note in preflight.notes(CONFIG):
        print(f"note: {note}", file=sys.stderr)


onstart:
    try:
        preflight.check(CONFIG, workflow, CONDA)
        preflight.end_unwatched_jobs(workflow)
        preflight.save(CONFIG)
    except UserError as error:
        raise WorkflowError(str(error)) from None
