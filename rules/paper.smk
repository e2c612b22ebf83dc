# Needs: aggregates, comparisons, checks, training manifests; config/published/*.csv.
# Gives: tables/<table>.json (.csv .html .md .tex .ours.tex beside it), and a named target for each
#        table.
from diffusion4k.dag import paper


localrules:
    table,
    prompt_table,


rule table:
    "Makes one table, the paper's numbers beside ours, as CSV, Markdown, LaTeX and HTML."
    input:
        lambda w: paper.read_by(CONFIG, w.table),
    output:
        manifest="<results>/tables/{table}.json",
        page=report(
            "<results>/tables/{table}.html",
            category="Tables",
            caption="../report/captions/table.rst",
            labels={"table": "{table}"},
        ),
        forms=multiext("<results>/tables/{table}", ".csv", ".md", ".tex", ".ours.tex"),
    log:
        "<logs>/tables/{table}.log",
    benchmark:
        "<benchmarks>/tables/{table}.tsv"
    wildcard_constraints:
        table=alternatives(paper.in_numbers(CONFIG)),
    conda:
        "../envs/paper.yaml"
    params:
        code=lambda w: paper.table_code(CONFIG, w.table),
        flags=flags(
            name="{table}",
            spec=lambda w: paper.spec(CONFIG, w.table, footer(w.table)),
            published="config/published/{table}.csv",
            context=lambda w: paper.context(CONFIG, w.table),
            values=lambda w: named(paper.numbers(CONFIG, w.table)),
            comparisons=lambda w: named(paper.comparisons(CONFIG, w.table)),
        ),
    shell:
        "python scripts/table.py {params.flags} --output {output.manifest} > {log} 2>&1"


rule prompt_table:
    "Prints the prompts of a table in words, in the same forms; it needs nothing but their files."
    output:
        manifest="<results>/tables/{table}.json",
        page=report(
            "<results>/tables/{table}.html",
            category="Tables",
            caption="../report/captions/table.rst",
            labels={"table": "{table}"},
        ),
        forms=multiext("<results>/tables/{table}", ".csv", ".md", ".tex", ".ours.tex"),
    log:
        "<logs>/tables/{table}.log",
    benchmark:
        "<benchmarks>/tables/{table}.tsv"
    wildcard_constraints:
        table=alternatives(paper.in_words(CONFIG)),
    conda:
        "../envs/paper.yaml"
    params:
        code=lambda w: paper.prompt_code(CONFIG, w.table),
        flags=flags(
            name="{table}",
            title=key("tables.{table}.title"),
            prompts=lambda w: paper.prompt_files(CONFIG, w.table),
            about=key("about"),
        ),
    shell:
        "python scripts/prompt_table.py {params.flags} --output {output.manifest} > {log} 2>&1"


# each table is a target by its name, which names all that it rests on: Snakemake does not miss an
# intermediate file whose downstream exists
for table in CONFIG["tables"]:

    rule:
        "This table, and all that it rests on."
        name:
            table
        input:
            lambda w, of=table: LINEAGE.behind(paper.tables(CONFIG, [of])),
        localrule: True
