# Diffusion-4K (arXiv 2503.18352), from its data sets to its tables and figures.
#
#   snakemake -n tables                          what the paper at its own scale takes
#   snakemake --profile slurm tables             run it on a cluster (docs/cluster.md)
#   make demo                                    the same at 1/16 of the size, on two CPU cores
#
# Targets: all, tables, figures, report, every table_… and figure_… of the configuration, verify,
# doctor.
from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"
configfile: "config/site.yaml"


# the stages, in the order data flows
include: "rules/common.smk"
include: "rules/sources.smk"
include: "rules/data.smk"
include: "rules/latents.smk"
include: "rules/train.smk"
include: "rules/vae.smk"
include: "rules/generate.smk"
include: "rules/metrics.smk"
include: "rules/paper.smk"


localrules:
    all,
    tables,
    figures,
    report,
    verify,
    doctor,


rule all:
    default_target: True
    input:
        f"{R}/report.html",


rule tables:
    input:
        P.tables(CONFIG["tables"]),


rule figures:
    input:
        P.figures(CONFIG["figures"]),


rule report:
    input:
        f"{R}/report.html",


# compares every file that a manifest lists with its size and checksum, and names what is broken
rule verify:
    log:
        f"{R}/logs/verify.log",
    conda:
        "envs/paper.yaml"
    params:
        run=R,
    shell:
        "python scripts/verify.py {params.run} 2> {log}"


# asks the cluster whether it fits, before the first job: one line a check, with what to change
rule doctor:
    log:
        f"{R}/logs/doctor.log",
    retries: 0
    conda:
        "envs/paper.yaml"
    params:
        config=f"{R}/config.yaml",
    shell:
        "python scripts/doctor.py --config {params.config} 2> {log}"


onstart:
    try:
        takeover.settle(workflow)
    except UserError as error:
        raise WorkflowError(str(error)) from None
    configuration.save(CONFIG, f"{R}/config.yaml")


onsuccess:
    made = sorted(str(path) for path in Path(R).glob("tables/*.md"))
    report = Path(R, "report.html")
    print(f"\nMade in {R}/: {len(made)} tables in {R}/tables/, logs in {R}/logs/")
    print(
        f"The report: {report}"
        if report.exists()
        else "The target `report` makes one page of it."
    )
