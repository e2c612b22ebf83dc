# Needs: aggregates, image sizes, training manifests, figures; config/published/*.csv.
# Gives: tables/<table>.json (.csv .html .md .tex .ours.tex beside it), claims.json and .md,
#        report.html, and a named target for each table.
from diffusion4k.dag import claims, deviations, figures, lineage, paper

# what a run costs as the work grows, by the FLOP model or as measured (benchmarks/scaling.py)
SCALING = "benchmarks/results/scaling-simulated.json"
TEMPLATE = "report/template.html"
DEVIATIONS = deviations.Deviations(CONFIG, workflow.rules, EXECUTION)


localrules:
    table,
    judge_claims,
    html,


rule table:
    "Makes one table, the paper's numbers beside ours, as CSV, Markdown, LaTeX and HTML."
    input:
        lambda w: paper.read_by(CONFIG, w.table),
    output:
        manifest="<results>/tables/{table}.json",
        forms=multiext("<results>/tables/{table}", ".csv", ".html", ".md", ".tex", ".ours.tex"),
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


rule judge_claims:
    "Says of each claim of the paper what this run found; the target `claims` makes all it rests on."
    input:
        claims.read_by(CONFIG),
    output:
        manifest="<results>/claims.json",
        text="<results>/claims.md",
    log:
        "<logs>/claims.log",
    benchmark:
        "<benchmarks>/claims.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=code("claims.py"),
        flags=claims.flags(CONFIG),
    shell:
        "python scripts/claims.py {params.flags} --output {output.manifest} > {log} 2>&1"


rule html:
    "Sets all tables and figures of the run into one page."
    input:
        tables=paper.tables(CONFIG, paper.chosen(CONFIG, "tables")),
        figures=figures.manifests(CONFIG, paper.chosen(CONFIG, "figures")),
    output:
        "<results>/report.html",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=digests.of("report.py", also=[Path(TEMPLATE), Path(SCALING)]),
        run=CONFIG["run"],
        config=f"{R}/config.yaml",
        template=TEMPLATE,
        scaling=SCALING,
    shell:
        "python scripts/report.py --run {params.run} --tables {input.tables}"
        " --figures {input.figures} --config {params.config} --template {params.template}"
        " --scaling {params.scaling} --output {output} > {log} 2>&1"


# each table is a target by its name, which names all that it rests on: Snakemake does not miss an
# intermediate file whose downstream exists
for name in CONFIG["tables"]:

    rule:
        name:
            name
        input:
            lineage.of_tables(CONFIG, [name]),
        localrule: True
