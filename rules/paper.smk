# Needs: aggregates, image sizes, training manifests, generated images; config/published/*.csv.
# Gives: tables/<table>.json (.csv .html .md .tex beside it), figures/<figure>.json (.png beside
#        it), report.html, and a named target for each table and figure.
import json

from diffusion4k import fidelity

PUBLISHED = "config/published"


def table_files(names):
    return [f"{R}/tables/{name}.json" for name in names]


def figure_files(names):
    return [f"{R}/figures/{name}.json" for name in names]


def value_file(family, row, evaluation):
    """The manifest that holds the numbers of one family for one row of a table."""
    if family == "sizes":
        return checked(row)
    if family == "training":
        return step_file(row, SEGMENTS[-1])
    if family == "reconstruction":
        return f"{R}/vae/{row}/reconstruction.json"
    return f"{R}/metrics/{row}/{evaluation}/{family}.json"


def table_values(name):
    """(ROW:FAMILY, manifest) for every number of a table that a run can give."""
    table = CONFIG["tables"][name]
    families = dict.fromkeys(CONFIG["columns"][column]["family"] for column in table["columns"])
    return [
        (f"{row}:{family}", value_file(family, row, table.get("evaluation")))
        for row in table["rows"]
        if row not in CONFIG["unavailable"]
        for family in families
    ]


def row_label(row, evaluation):
    if row in CONFIG["unavailable"]:
        return CONFIG["unavailable"][row]["label"]
    if row in CONFIG["splits"]:
        return CONFIG["splits"][row]["label"]
    if row in CONFIG["backbones"]:
        return f"{CONFIG['backbones'][row]['label']}-F16"
    size = size_of(evaluation) if evaluation else CONFIG["latents"]["size"]
    return f"{CONFIG['models'][row]['label']}@{size}"


def table_spec(name):
    """What a table shows, as the JSON that scripts/table.py reads."""
    table = CONFIG["tables"][name]
    columns = [
        {"metric": CONFIG["columns"][c].get("metric", c), **CONFIG["columns"][c]}
        for c in table["columns"]
    ]
    rows = [
        {
            "key": row,
            "label": row_label(row, table.get("evaluation")),
            "reason": CONFIG["unavailable"].get(row, {}).get("reason"),
        }
        for row in table["rows"]
    ]
    footer = [fidelity.describe(CONFIG)]
    return json.dumps({"title": table["title"], "columns": columns, "rows": rows, "footer": footer})


localrules:
    table,
    figure,
    html,


rule table:
    input:
        lambda w: [path for _, path in table_values(w.table)],
    output:
        f"{R}/tables/{{table}}.json",
    log:
        f"{R}/logs/tables/{{table}}.log",
    benchmark:
        f"{R}/benchmarks/tables/{{table}}.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=lambda w: code("table.py", also=Path(PUBLISHED).glob(f"{w.table}.csv")),
        spec=lambda w: shlex.quote(table_spec(w.table)),
        published=f"{PUBLISHED}/{{table}}.csv",
        values=lambda w: " ".join(f"{key}={path}" for key, path in table_values(w.table)),
    shell:
        "python scripts/table.py --name {wildcards.table} --spec {params.spec}"
        " --published {params.published} --values {params.values} --output {output} > {log} 2>&1"


def figure_rows(name):
    """(ROW, manifest) for everything that a figure shows."""
    figure = CONFIG["figures"][name]
    files = {
        "gallery": lambda row: image_shards(row, figure["evaluation"]),
        "histogram": lambda row: [checked(row)],
        "curves": lambda row: [step_file(row, SEGMENTS[-1])],
        "reconstruction": lambda row: reconstruction_shards(row)[:1],
    }[figure["kind"]]
    return [(row, path) for row in figure["rows"] for path in files(row)]


def figure_references(wildcards):
    """The photographs that a gallery puts beside the generated images."""
    figure = CONFIG["figures"][wildcards.figure]
    if figure["kind"] != "gallery":
        return []
    return split_source(evaluation_split(figure["evaluation"]))


def figure_flags(wildcards):
    figure = CONFIG["figures"][wildcards.figure]
    labels = {row: row_label(row, figure.get("evaluation")) for row in figure["rows"]}
    gallery = {}
    if figure["kind"] == "gallery":
        gallery = {
            "reference": figure_references(wildcards),
            "folder": evaluation_folder(figure["evaluation"]),
            "size": size_of(figure["evaluation"]),
            "prompts": figure.get("prompts", 6),
        }
    return flags(
        spec=json.dumps({"title": figure["title"], "labels": labels}),
        rows=[f"{row}={path}" for row, path in figure_rows(wildcards.figure)],
        **gallery,
    )


rule figure:
    input:
        lambda w: [path for _, path in figure_rows(w.figure)],
        figure_references,
    output:
        f"{R}/figures/{{figure}}.json",
    log:
        f"{R}/logs/figures/{{figure}}.log",
    benchmark:
        f"{R}/benchmarks/figures/{{figure}}.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=code("figure.py"),
        kind=lambda w: CONFIG["figures"][w.figure]["kind"],
        flags=figure_flags,
    shell:
        "python scripts/figure.py {params.kind} {params.flags} --output {output} > {log} 2>&1"


rule html:
    input:
        tables=table_files(CONFIG["tables"]),
        figures=figure_files(CONFIG["figures"]),
        sources=[source(name) for name in CONFIG["sources"]],
    output:
        f"{R}/report.html",
    log:
        f"{R}/logs/report.log",
    benchmark:
        f"{R}/benchmarks/report.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=code("report.py", also=[Path("report/template.html")]),
        run=CONFIG["run"],
        config=f"{R}/config.yaml",
    shell:
        "python scripts/report.py --run {params.run} --tables {input.tables}"
        " --figures {input.figures} --sources {input.sources} --config {params.config}"
        " --template report/template.html --output {output} > {log} 2>&1"


# each table and figure is a target by its name
for name in CONFIG["tables"]:

    rule:
        name:
            name
        input:
            table_files([name]),
        localrule: True


for name in CONFIG["figures"]:

    rule:
        name:
            name
        input:
            figure_files([name]),
        localrule: True
