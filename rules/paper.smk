# Needs: aggregates, image sizes, training manifests, figures, pictures and their scores;
#        config/published/*.csv.
# Gives: tables/<table>.json (.csv .html .md .tex .ours.tex beside it), claims.json and .md,
#        report.html, report/gallery.json (.html and thumbnails beside it), report/chains.json (the
#        pages that numbers lead to), and a named target for each table.
from diffusion4k.dag import claims, deviations, paper, report as page
from diffusion4k.dag.flags import command_line
from diffusion4k.estimate import work

# what a run costs as the work grows, by the FLOP model or as measured (benchmarks/scaling.py)
SCALING = "benchmarks/results/scaling-simulated.json"
# the page, the gallery, and what both include
TEMPLATES = [*sorted(Path("report").glob("*.html")), *sorted(Path("report/parts").iterdir())]
DEVIATIONS = deviations.Deviations(CONFIG, LINEAGE, EXECUTION)


localrules:
    table,
    prompt_table,
    judge_claims,
    gallery,
    html,


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
        code=lambda w: digests.of("table.py", also=paper.published(CONFIG, w.table)),
        flags=lambda w: paper.table_flags(CONFIG, w.table, DEVIATIONS.footer(w.table)),
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
        code=lambda w: digests.of("prompt_table.py", also=paper.prompt_files(CONFIG, w.table)),
        flags=flags(
            name="{table}",
            title=key("tables.{table}.title"),
            prompts=lambda w: paper.prompt_files(CONFIG, w.table),
        ),
    shell:
        "python scripts/prompt_table.py {params.flags} --output {output.manifest} > {log} 2>&1"


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
        flags=lambda w: claims.flags(CONFIG),
    shell:
        "python scripts/claims.py {params.flags} --output {output.manifest} > {log} 2>&1"


rule gallery:
    "Sets the run's pictures side by side, with thumbnails, prompts, settings and scores."
    input:
        page.gallery_inputs(CONFIG),
    output:
        manifest="<results>/report/gallery.json",
        page="<results>/report/gallery.html",
    log:
        "<logs>/gallery.log",
    benchmark:
        "<benchmarks>/gallery.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=lambda w: digests.of("gallery.py", also=TEMPLATES, modules=page.modules(CONFIG)),
        flags=lambda w: page.gallery_flags(CONFIG),
    shell:
        "python scripts/gallery.py {params.flags} --template report/gallery.html"
        " --output {output.manifest} > {log} 2>&1"


rule html:
    "Sets the answer, all figures and all tables of the run into one page."
    input:
        **page.inputs(CONFIG),
    output:
        page=report(
            "<results>/report.html",
            category="Report",
            caption="../report/captions/report.rst",
            labels={"page": "report"},
        ),
        chains="<results>/report/chains.json",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=lambda w: digests.of("report.py", also=[*TEMPLATES, Path(SCALING)]),
        run=CONFIG["run"],
        config=f"{R}/config.yaml",
        scaling=SCALING,
        work=lambda w: command_line(work=work.of_run(CONFIG)),
        # what the page takes from {params.config} itself
        price=key("plan.price"),
        settings=lambda w: page.settings(CONFIG),
    shell:
        "python scripts/report.py --run {params.run} --tables {input.tables}"
        " --figures {input.figures} --claims {input.claims} --gallery {input.gallery}"
        " --config {params.config} --template report/report.html --scaling {params.scaling}"
        " {params.work}"
        " --chains {output.chains} --output {output.page} > {log} 2>&1"


# each table is a target by its name, which names all that it rests on: Snakemake does not miss an
# intermediate file whose downstream exists
for name in CONFIG["tables"]:

    rule:
        name:
            name
        input:
            lambda w, of=name: LINEAGE.behind(paper.tables(CONFIG, [of])),
        localrule: True
