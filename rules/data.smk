# Needs: the sources of the splits.
# Gives: data/<split>.json, the check of a split (counts, every image decoded, captions) and its
#        image sizes. Stages that depend on the check do so by ancient(): it must have passed, but
#        checking again never re-trains.
from diffusion4k import shape
from diffusion4k.dag import data


rule check_data:
    "Decodes every image of a split, checks its captions and counts, and lists heights and widths."
    input:
        lambda w: sources.of_split(CONFIG, w.split),
    output:
        "<results>/data/{split}.json",
    log:
        "<logs>/data/{split}.log",
    benchmark:
        "<benchmarks>/data/{split}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: threads("check")
    resources:
        **asks("check"),
    params:
        code=code("check_data.py"),
        flags=flags(
            folder=key("splits.{split}.folder"),
            split="{split}",
            expected=key("splits.{split}.count"),
            min_side=key("splits.{split}.min_side", then=lambda side: side and shape.text(side)),
        ),
    shell:
        "python scripts/check_data.py --dataset {input} {params.flags} --workers {threads}"
        " --output {output} > {log} 2>&1"
