# Needs: aggregates, image sizes, training manifests, generated images; config/published/*.csv.
# Gives: tables/<table>.json (.csv .html .md .tex beside it), figures/<figure>.json (.png beside
#        it), report.html, and a named target for each table and figure.
from diffusion4k.dag import deviations, lineage, paper

# what a run costs as the work grows, by the FLOP model or as measured (benchmarks/scaling.py)
SCALING = "benchmarks/results/scaling-simulated.json"
TEMPLATE = "report/template.html"
DEVIATIONS = deviations.Deviations(CONFIG, workflow.rules, EXECUTION)


localrules:
    table,
    figure,
    html,


rule table:
    "Makes one table, the paper's numbers beside ours, as CSV, Markdown, LaTeX and HTML."
    input:
        lambda w: paper.read_by(CONFIG, w.table),
    output:
        manifest="<results>/tables/{table}.json",
        forms=multiext("<results>/tables/{table}", ".csv", ".html", ".md", ".tex"),
    log:
        "<logs>/tables/{table}.log",
    benchmark:
        "<benchmarks>/tables/{table}.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=lambda w: digests.of("table.py", also=paper.published(CONFIG, w.table)),
        flags=lambda w: paper.table_flags(CONFIG, w.table, DEVIATIONS.footer(w.table)),
    shell:
        "python scripts/table.py {params.flags} --output {output.manifest} > {log} 2>&1"


rule figure:
    "Draws one figure."
    input:
        lambda w: paper.figure_inputs(CONFIG, w.figure),
    output:
        manifest="<results>/figures/{figure}.json",
        picture="<results>/figures/{figure}.png",
    log:
        "<logs>/figures/{figure}.log",
    benchmark:
        "<benchmarks>/figures/{figure}.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=code("figure.py"),
        kind=key("figures.{figure}.kind"),
        flags=lambda w: paper.figure_flags(CONFIG, w.figure),
    shell:
        "python scripts/figure.py {params.kind} {params.flags} --output {output.manifest} > {log} 2>&1"


rule html:
    "Sets all tables and figures of the run into one page."
    input:
        tables=paper.tables(CONFIG, CONFIG["tables"]),
        figures=paper.figures(CONFIG, CONFIG["figures"]),
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=lambda w: digests.of("report.py", also=[Path(TEMPLATE), Path(SCALING)]),
        run=CONFIG["run"],
        config=f"{R}/config.yaml",
        template=TEMPLATE,
        scaling=SCALING,
    shell:
        "python scripts/report.py --run {params.run} --tables {input.tables}"
        " --figures {input.figures} --config {params.config} --template {params.template}"
        " --scaling {params.scaling} --output {output} > {log} 2>&1"


# each table and figure is a target by its name, which names all that it rests on: Snakemake does
# not miss an intermediate file whose downstream exists
for name in CONFIG["tables"]:

    rule:
        name:
            name
        input:
            lineage.of_tables(CONFIG, [name]),
        localrule: True


for name in CONFIG["figures"]:

    rule:
        name:
            name
        input:
            lineage.of_figures(CONFIG, [name]),
        localrule: True
