# Needs: the sources of the splits.
# Gives: data/<split>.json, the check of a split (counts, every image decoded, captions) and its
#        image sizes. Stages that depend on the check do so by ancient(): it must have passed, but
#        checking again never re-trains.


rule check_data:
    input:
        lambda w: S.split_source(w.split),
    output:
        f"{R}/data/{{split}}.json",
    log:
        f"{R}/logs/data/{{split}}.log",
    benchmark:
        f"{R}/benchmarks/data/{{split}}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: S.threads("check")
    resources:
        **S.resources("check"),
    params:
        code=lambda w: S.code("check_data.py"),
        flags=S.check_flags,
    shell:
        "python scripts/check_data.py --dataset {input} {params.flags} --workers {threads}"
        " --output {output} > {log} 2>&1"
