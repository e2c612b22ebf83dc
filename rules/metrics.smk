# Needs: generated images, reference photographs and prompts, the metric networks.
# Gives: metrics/<model>/<evaluation>/<family>-<i>-of-<n>.json, a row an image, and
#        metrics/<model>/<evaluation>/<family>.json, the aggregates that tables read.
# families: texture (GLCM Score, Compression Ratio), alignment (CLIPScore, Aesthetics), fid,
#           distance (to the prompt's photograph; not in the paper)
NETWORKS = ("clip", "clip_large", "aesthetics_head", "inception")
METRICS = f"{R}/metrics/{{model}}/{{evaluation}}"
SHARD = "{shard}-of-{shards}"


rule texture:
    input:
        f"{R}/generate/{{model}}/{{evaluation}}/shard-{SHARD}.json",
    output:
        f"{METRICS}/texture-{SHARD}.json",
    log:
        f"{R}/logs/metrics/{{model}}/{{evaluation}}/texture-{SHARD}.log",
    benchmark:
        f"{R}/benchmarks/metrics/{{model}}/{{evaluation}}/texture-{SHARD}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: S.threads("texture")
    resources:
        **S.resources("texture"),
    params:
        code=S.code("texture.py"),
    shell:
        "python scripts/texture.py --images {input} --output {output} > {log} 2>&1"


rule features:
    input:
        **{name: S.source(name) for name in NETWORKS},
        images=f"{R}/generate/{{model}}/{{evaluation}}/shard-{SHARD}.json",
        dataset=S.evaluation_source,
    output:
        f"{METRICS}/features-{SHARD}.json",
    log:
        f"{R}/logs/metrics/{{model}}/{{evaluation}}/features-{SHARD}.log",
    benchmark:
        f"{R}/benchmarks/metrics/{{model}}/{{evaluation}}/features-{SHARD}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: S.threads("features")
    resources:
        **S.resources("features"),
        batch=flags(batch=CONFIG["metrics"]["batch"]),
    params:
        code=S.code("features.py"),
        flags=S.prompts_flags,
    shell:
        "{resources.launch} scripts/features.py --images {input.images} --dataset {input.dataset}"
        " --clip {input.clip} --clip-large {input.clip_large}"
        " --aesthetics-head {input.aesthetics_head} --inception {input.inception}"
        " {params.flags} {resources.batch} --output {output} > {log} 2>&1"


# the same networks on the reference photographs, once an evaluation for every model
rule reference_features:
    input:
        **{name: S.source(name) for name in NETWORKS},
        dataset=S.evaluation_source,
        check=lambda w: ancient(S.checked(S.evaluation_split(w.evaluation))),
    output:
        f"{R}/metrics/reference/{{evaluation}}/features-{SHARD}.json",
    log:
        f"{R}/logs/metrics/reference/{{evaluation}}/features-{SHARD}.log",
    benchmark:
        f"{R}/benchmarks/metrics/reference/{{evaluation}}/features-{SHARD}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: S.threads("features")
    resources:
        **S.resources("features"),
        batch=flags(batch=CONFIG["metrics"]["batch"]),
    params:
        code=S.code("features.py"),
        flags=S.sized_flags,
    shell:
        "{resources.launch} scripts/features.py --reference --dataset {input.dataset}"
        " --clip {input.clip} --clip-large {input.clip_large}"
        " --aesthetics-head {input.aesthetics_head} --inception {input.inception}"
        " {params.flags} {resources.batch} --shard {wildcards.shard} --shards {wildcards.shards}"
        " --output {output} > {log} 2>&1"


rule distance:
    input:
        images=f"{R}/generate/{{model}}/{{evaluation}}/shard-{SHARD}.json",
        dataset=S.evaluation_source,
    output:
        f"{METRICS}/distance-{SHARD}.json",
    log:
        f"{R}/logs/metrics/{{model}}/{{evaluation}}/distance-{SHARD}.log",
    benchmark:
        f"{R}/benchmarks/metrics/{{model}}/{{evaluation}}/distance-{SHARD}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: S.threads("distance")
    resources:
        **S.resources("distance"),
    params:
        code=S.code("distance.py"),
        flags=S.sized_flags,
    shell:
        "python scripts/distance.py --images {input.images} --dataset {input.dataset}"
        " {params.flags} --output {output} > {log} 2>&1"


localrules:
    aggregate,


rule aggregate:
    input:
        unpack(S.aggregate_scores),
    output:
        f"{METRICS}/{{family}}.json",
    log:
        f"{R}/logs/metrics/{{model}}/{{evaluation}}/{{family}}.log",
    benchmark:
        f"{R}/benchmarks/metrics/{{model}}/{{evaluation}}/{{family}}.tsv"
    wildcard_constraints:
        family=alternatives(configuration.GENERATED),
    conda:
        "../envs/metrics.yaml"
    params:
        code=S.code("aggregate.py"),
        flags=S.aggregate_flags,
    shell:
        "python scripts/aggregate.py --family {wildcards.family} --scores {input.scores}"
        " {params.flags} --output {output} > {log} 2>&1"
