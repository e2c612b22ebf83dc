# Needs: the resolved configuration; verify, repair and crate, what a run has made.
# Gives: nothing new: each target prints what it found, repair makes again what is broken, and crate
#        writes crate/, the run as one deposits it.
import shlex
import sys

# of the Snakemake that repair starts inside this one: its own arguments, without the target
AGAIN = shlex.join(word for word in sys.argv[1:] if word not in ("repair", "--"))


localrules:
    verify,
    repair,
    crate,
    doctor,
    plan,


rule verify:
    "Compares every file that a manifest lists with its size and checksum; names what is broken."
    log:
        "<logs>/verify.log",
    conda:
        "../envs/paper.yaml"
    threads: 8  # files read at a time
    params:
        run=R,
    shell:
        "python scripts/verify.py {params.run} --workers {threads} 2> {log}"


# in Snakemake's own environment: it starts another inside, under this one's lock
rule repair:
    "Makes again exactly what verify finds broken, and nothing downstream when its bytes come out."
    log:
        "<logs>/repair.log",
    retries: 0
    handover: True
    threads: 8
    resources:
        mem_mb=1000,  # named, or a handover takes all that there is
    params:
        run=R,
        again=lambda w: shlex.quote(AGAIN),  # what has braces is no pattern
    shell:
        "python scripts/repair.py {params.run} --workers {threads}"
        " --snakemake={params.again} 2> {log}"


rule crate:
    "Writes the run as a Workflow Run RO-Crate: manifests, tables, figures, report, the workflow."
    log:
        "<logs>/crate.log",
    conda:
        "../envs/paper.yaml"
    params:
        run=R,
    shell:
        "python scripts/crate.py {params.run} --output {params.run}/crate 2> {log}"


# in no environment of its own but in Snakemake's, which has the SLURM executor's plugin to ask
rule doctor:
    "Asks the cluster whether it fits, before the first job: one line a check, with what to change."
    log:
        "<logs>/doctor.log",
    retries: 0
    handover: True
    resources:
        mem_mb=1000,  # named, or a handover takes all that there is
    params:
        config=f"{R}/config.yaml",
        conda="--conda" if CONDA else "",
    shell:
        "python scripts/doctor.py --config {params.config} {params.conda} 2> {log}"


rule plan:
    "Says what the run takes: jobs, GPU hours, wall time, disk, licences; needs and makes nothing."
    log:
        "<logs>/plan.log",
    conda:
        "../envs/paper.yaml"
    params:
        config=f"{R}/config.yaml",
    shell:
        "python scripts/plan.py --config {params.config} 2> {log}"
