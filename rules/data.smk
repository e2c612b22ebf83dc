# Needs: the sources of the splits.
# Gives: data/<split>.json, the check of a split (counts, every image decoded, captions) and its
#        image sizes. Stages that depend on the check do so by ancient(): it must have passed, but
#        checking again never re-trains.
#        captions/<captions>/<split>.json, a split's images under other captions: a data set of links
#        and a metadata.jsonl of its own, which stands wherever the source would.
from diffusion4k.dag import data


rule caption:
    "Lays out a split's images under other captions: yours, and those that a model writes."
    input:
        lambda w: data.photographs(CONFIG, w.split),
    output:
        "<results>/captions/{captions}/{split}.json",
    log:
        "<logs>/captions/{captions}/{split}.log",
    benchmark:
        "<benchmarks>/captions/{captions}/{split}.tsv"
    wildcard_constraints:
        captions=alternatives(data.other_captions(CONFIG)),
    localrule: True  # a compute node may have no network
    conda:
        "../envs/paper.yaml"
    resources:
        # not params: what decides no caption
        how=flags(
            token_env=key("endpoints.{endpoint}.token_env"),
            price=key("endpoints.{endpoint}.price", then=in_and_out),
            max_cost=key("captions.{captions}.max_cost"),
            workers=key("endpoints.{endpoint}.workers"),
            retries=key("endpoints.{endpoint}.retries"),
            timeout=key("endpoints.{endpoint}.timeout"),
        ),
    params:
        code=lambda w: data.caption_code(CONFIG, w.captions),
        flags=flags(
            folder=key("splits.{split}.folder"),
            captions=key("captions.{captions}.path"),
            base_url=key("endpoints.{endpoint}.base_url"),
            model=key("endpoints.{endpoint}.model"),
            temperature=key("endpoints.{endpoint}.temperature"),
            max_tokens=key("endpoints.{endpoint}.max_tokens"),
            side=key("endpoints.{endpoint}.side"),
        ),
    shell:
        "python scripts/caption.py --dataset {input} {params.flags} {resources.how}"
        " --output {output} > {log} 2>&1"


rule captions:
    "The captions of every split that names some: nothing else is made of them yet."
    input:
        lambda w: LINEAGE.behind(data.captioned(CONFIG)),
    localrule: True


rule check_data:
    "Decodes every image of a split, checks its captions and counts, and lists heights and widths."
    input:
        lambda w: data.dataset(CONFIG, w.split),
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
            captioned=key("splits.{split}.captioned"),
            split="{split}",
            expected=key("splits.{split}.count"),
            min_side=key("splits.{split}.min_side", then=lambda side: side and shape.text(side)),
        ),
    shell:
        "python scripts/check_data.py --dataset {input} {params.flags} --workers {threads}"
        " --output {output} > {log} 2>&1"
