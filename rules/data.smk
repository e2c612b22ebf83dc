# Needs: the sources of the splits.
# Gives: data/<split>.json, the check of a split (counts, every image decoded, captions) and its
#        image sizes. Stages that depend on the check do so by ancient(): it must have passed, but
#        checking again never re-trains.


def check_flags(wildcards):
    split = CONFIG["splits"][wildcards.split]
    return flags(
        folder=split["folder"],
        split=wildcards.split,
        expected=split["count"],
        min_side=split.get("min_side"),
    )


def checked(split):
    return f"{R}/data/{split}.json"


rule check_data:
    input:
        lambda w: split_source(w.split),
    output:
        f"{R}/data/{{split}}.json",
    log:
        f"{R}/logs/data/{{split}}.log",
    benchmark:
        f"{R}/benchmarks/data/{{split}}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: ask("check", "threads")
    resources:
        mem_mb=ask("check", "mem_mb"),
        runtime=ask("check", "runtime"),
    params:
        code=code("check_data.py"),
        flags=check_flags,
    shell:
        "python scripts/check_data.py --dataset {input} {params.flags} --workers {threads}"
        " --output {output} > {log} 2>&1"
