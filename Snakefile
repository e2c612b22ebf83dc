# Diffusion-4K (arXiv 2503.18352), from its data sets to its tables and figures.
#
#   snakemake -n tables                          what the paper at its own scale takes
#   snakemake --profile slurm tables             run it on a cluster (docs/cluster.md)
#   make demo                                    the same at 1/16 of the size, on two CPU cores
#
# Targets: all, tables, figures, claims, report, every table_… and figure_… of the configuration,
# rating_kit, verify, repair, crate, plan, doctor.
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

min_version("9.27")
if not Path.cwd().samefile(workflow.basedir):
    raise WorkflowError(
        f"start snakemake in {workflow.basedir}: config, scripts, results are there"
    )


configfile: "config/config.yaml"
configfile: "config/site.yaml"


# the stages, in the order data flows
include: "rules/common.smk"
include: "rules/preflight.smk"
include: "rules/sources.smk"
include: "rules/data.smk"
include: "rules/latents.smk"
include: "rules/train.smk"
include: "rules/vae.smk"
include: "rules/generate.smk"
include: "rules/draw.smk"
include: "rules/metrics.smk"
include: "rules/people.smk"
include: "rules/figures.smk"
include: "rules/paper.smk"
include: "rules/claims.smk"
include: "rules/report.smk"
include: "rules/checks.smk"


# rules/common.smk says where the library is
from diffusion4k.dag import claims, figures, paper
from diffusion4k.run import preflight, report as page


localrules:
    all,
    tables,
    figures,
    claims,
    report,


rule all:
    "Tables, figures, claims, and the report on them."
    default_target: True
    input:
        # all that it rests on: Snakemake does not miss what lies behind a file that is there
        lambda w: LINEAGE.behind(page.files(CONFIG)),


rule tables:
    "Every table of the configuration that is chosen."
    input:
        lambda w: LINEAGE.behind(paper.tables(CONFIG, paper.chosen(CONFIG, "tables"))),


rule figures:
    "Every figure of the configuration that is chosen."
    input:
        lambda w: LINEAGE.behind(figures.manifests(CONFIG, paper.chosen(CONFIG, "figures"))),


rule claims:
    "What the paper claims, judged by the numbers of this run."
    input:
        lambda w: LINEAGE.behind(claims.files(CONFIG)),


rule report:
    "The report: one page, the tables and figures that there are, costs, settings."
    input:
        lambda w: LINEAGE.behind(page.files(CONFIG)),


# a file that is asked for is a target as those are: it names all that it rests on
for word, path in (
    LINEAGE.asked(preflight.command_line()).items() if workflow.is_main_process else ()
):

    rule:
        "This file, and all that it rests on."
        name:
            word
        input:
            LINEAGE.behind([path]),
        localrule: True


BEGAN = time.time()


onsuccess:
    report = Path(R, "report.html")
    made = [*Path(R).glob("tables/*.json"), *Path(R).glob("figures/*.json")]
    times = {path.stem: path.stat().st_mtime for path in sorted(made)}
    if new := [name for name, at in times.items() if at >= BEGAN]:
        print(f"\nMade in {R}/: {', '.join(new)}; logs in {R}/logs/")
    if report.is_file():
        old = report.stat().st_mtime < max(times.values(), default=0)
        print(
            f"The report{' of before (the target report makes it anew)' if old else ''}: {report}"
        )
