# Needs: all of the run's tables, figures and claims; pictures and their scores.
# Gives: report.html, report/gallery.json (.html and thumbnails beside it), report/chains.json (the
#        pages that numbers lead to).
from diffusion4k.run import report as page  # `report` is Snakemake's word


localrules:
    gallery,
    html,


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
        code=lambda w: page.gallery_code(CONFIG),
        flags=flags(
            spec=lambda w: page.gallery_spec(CONFIG),
            images=lambda w: named(page.images(CONFIG)),
            scores=lambda w: named(page.scores(CONFIG)),
            figures=lambda w: page.gallery_figures(CONFIG),
        ),
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
        code=lambda w: page.page_code(),
        run=CONFIG["run"],
        config=f"{R}/config.yaml",
        scaling=page.SCALING,
        arithmetic=flags(arithmetic=lambda w: page.arithmetic(CONFIG)),
        lacking=flags(lacking=lambda w: page.lacking(CONFIG)),
        # what the page takes from {params.config} itself
        price=key("plan.price"),
        settings=lambda w: page.settings(CONFIG),
    shell:
        "python scripts/report.py --run {params.run} --tables {input.tables}"
        " --figures {input.figures} --claims {input.claims} --gallery {input.gallery}"
        " --config {params.config} --template report/report.html --scaling {params.scaling}"
        " {params.arithmetic} {params.lacking}"
        " --chains {output.chains} --output {output.page} > {log} 2>&1"
