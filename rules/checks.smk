# Needs: the resolved configuration; verify, what a run has made.
# Gives: nothing: each target prints what it found.
localrules:
    verify,
    doctor,
    plan,


rule verify:
    "Compares every file that a manifest lists with its size and checksum; names what is broken."
    log:
        "<logs>/verify.log",
    conda:
        "../envs/paper.yaml"
    params:
        run=R,
    shell:
        "python scripts/verify.py {params.run} 2> {log}"


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
