# Needs: aggregates, image sizes, training manifests, generated images; config/published/*.csv.
# Gives: tables/<table>.json (.csv .html .md .tex beside it), figures/<figure>.json (.png beside
#        it), report.html, and a named target for each table and figure.
# what a run costs as the work grows, by the FLOP model or as measured (benchmarks/scaling.py)
SCALING = "benchmarks/results/scaling-simulated.json"


localrules:
    table,
    figure,
    html,


rule table:
    input:
        P.table_inputs,
    output:
        f"{R}/tables/{{table}}.json",
    log:
        f"{R}/logs/tables/{{table}}.log",
    benchmark:
        f"{R}/benchmarks/tables/{{table}}.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=lambda w: S.code("table.py", also=P.published_files(w.table)),
        flags=P.table_flags,
    shell:
        "python scripts/table.py {params.flags} --output {output} > {log} 2>&1"


rule figure:
    input:
        lambda w: [path for _, path in P.figure_rows(w.figure)],
        P.figure_reference,
    output:
        f"{R}/figures/{{figure}}.json",
    log:
        f"{R}/logs/figures/{{figure}}.log",
    benchmark:
        f"{R}/benchmarks/figures/{{figure}}.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=lambda w: S.code("figure.py"),
        kind=lambda w: CONFIG["figures"][w.figure]["kind"],
        flags=P.figure_flags,
    shell:
        "python scripts/figure.py {params.kind} {params.flags} --output {output} > {log} 2>&1"


rule html:
    input:
        tables=P.tables(CONFIG["tables"]),
        figures=P.figures(CONFIG["figures"]),
    output:
        f"{R}/report.html",
    log:
        f"{R}/logs/report.log",
    benchmark:
        f"{R}/benchmarks/report.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=lambda w: S.code("report.py", also=[Path("report/template.html"), Path(SCALING)]),
        scaling=SCALING,
        run=CONFIG["run"],
        config=f"{R}/config.yaml",
    shell:
        "python scripts/report.py --run {params.run} --tables {input.tables}"
        " --figures {input.figures} --config {params.config} --template report/template.html"
        " --scaling {params.scaling} --output {output} > {log} 2>&1"


# each table and figure is a target by its name
for name in CONFIG["tables"]:

    rule:
        name:
            name
        input:
            P.tables([name]),
        localrule: True


for name in CONFIG["figures"]:

    rule:
        name:
            name
        input:
            P.figures([name]),
        localrule: True
