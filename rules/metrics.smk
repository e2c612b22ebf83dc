# Needs: generated images, reference photographs and prompts, the metric networks.
# Gives: metrics/<model>/<evaluation>/<family>-<i>-of-<n>.json, a row an image, and
#        metrics/<model>/<evaluation>/<family>.json, the aggregates that tables read.
# families: texture (GLCM Score, Compression Ratio), alignment (CLIPScore, Aesthetics), fid,
#           distance (to the prompt's photograph; not in the paper)
NETWORKS = ("clip", "clip_large", "aesthetics_head", "inception")
METRICS = f"{R}/metrics/{{model}}/{{evaluation}}"
SHARD = "{shard}-of-{shards}"


def score_shards(kind, model, evaluation):
    pattern = f"{R}/metrics/{model}/{evaluation}/{kind}-{SHARD}.json"
    return shards(pattern, CONFIG["evaluations"][evaluation]["shards"])


def shard_images(wildcards):
    where = f"{R}/generate/{wildcards.model}/{wildcards.evaluation}"
    return f"{where}/shard-{wildcards.shard}-of-{wildcards.shards}.json"


def prompts_flags(wildcards):
    return flags(folder=evaluation_folder(wildcards.evaluation))


def sized_flags(wildcards):
    return flags(folder=evaluation_folder(wildcards.evaluation), size=size_of(wildcards.evaluation))


rule texture:
    input:
        shard_images,
    output:
        f"{METRICS}/texture-{SHARD}.json",
    log:
        f"{R}/logs/metrics/{{model}}/{{evaluation}}/texture-{SHARD}.log",
    benchmark:
        f"{R}/benchmarks/metrics/{{model}}/{{evaluation}}/texture-{SHARD}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: ask("texture", "threads")
    resources:
        mem_mb=ask("texture", "mem_mb"),
        runtime=ask("texture", "runtime"),
    params:
        code=code("texture.py"),
    shell:
        "python scripts/texture.py --images {input} --output {output} > {log} 2>&1"


rule features:
    input:
        **{name: source(name) for name in NETWORKS},
        images=shard_images,
        dataset=lambda w: split_source(evaluation_split(w.evaluation)),
    output:
        f"{METRICS}/features-{SHARD}.json",
    log:
        f"{R}/logs/metrics/{{model}}/{{evaluation}}/features-{SHARD}.log",
    benchmark:
        f"{R}/benchmarks/metrics/{{model}}/{{evaluation}}/features-{SHARD}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: ask("features", "threads")
    resources:
        mem_mb=ask("features", "mem_mb"),
        runtime=ask("features", "runtime"),
        gpu=ask("features", "gpu"),
        batch=flags(batch=CONFIG["metrics"]["batch"]),
    params:
        code=code("features.py"),
        flags=prompts_flags,
    shell:
        "python scripts/features.py --images {input.images} --dataset {input.dataset}"
        " --clip {input.clip} --clip-large {input.clip_large}"
        " --aesthetics-head {input.aesthetics_head} --inception {input.inception}"
        " {params.flags} {resources.batch} --output {output} > {log} 2>&1"


# the same networks on the reference photographs, once an evaluation for every model
rule reference_features:
    input:
        **{name: source(name) for name in NETWORKS},
        dataset=lambda w: split_source(evaluation_split(w.evaluation)),
        check=lambda w: ancient(checked(evaluation_split(w.evaluation))),
    output:
        f"{R}/metrics/reference/{{evaluation}}/features-{SHARD}.json",
    log:
        f"{R}/logs/metrics/reference/{{evaluation}}/features-{SHARD}.log",
    benchmark:
        f"{R}/benchmarks/metrics/reference/{{evaluation}}/features-{SHARD}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: ask("features", "threads")
    resources:
        mem_mb=ask("features", "mem_mb"),
        runtime=ask("features", "runtime"),
        gpu=ask("features", "gpu"),
        batch=flags(batch=CONFIG["metrics"]["batch"]),
    params:
        code=code("features.py"),
        flags=sized_flags,
    shell:
        "python scripts/features.py --reference --dataset {input.dataset}"
        " --clip {input.clip} --clip-large {input.clip_large}"
        " --aesthetics-head {input.aesthetics_head} --inception {input.inception}"
        " {params.flags} {resources.batch} --shard {wildcards.shard} --shards {wildcards.shards}"
        " --output {output} > {log} 2>&1"


rule distance:
    input:
        images=shard_images,
        dataset=lambda w: split_source(evaluation_split(w.evaluation)),
    output:
        f"{METRICS}/distance-{SHARD}.json",
    log:
        f"{R}/logs/metrics/{{model}}/{{evaluation}}/distance-{SHARD}.log",
    benchmark:
        f"{R}/benchmarks/metrics/{{model}}/{{evaluation}}/distance-{SHARD}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: ask("distance", "threads")
    resources:
        mem_mb=ask("distance", "mem_mb"),
        runtime=ask("distance", "runtime"),
    params:
        code=code("distance.py"),
        flags=sized_flags,
    shell:
        "python scripts/distance.py --images {input.images} --dataset {input.dataset}"
        " {params.flags} --output {output} > {log} 2>&1"


def aggregate_scores(wildcards):
    kind = {"alignment": "features", "fid": "features"}.get(wildcards.family, wildcards.family)
    files = {"scores": score_shards(kind, wildcards.model, wildcards.evaluation)}
    if wildcards.family == "fid":
        files["reference"] = score_shards("features", "reference", wildcards.evaluation)
    return files


def aggregate_flags(wildcards, input):
    choice = {"texture": "glcm_choice", "alignment": "clip_choice"}.get(wildcards.family)
    return flags(
        expected=CONFIG["splits"][evaluation_split(wildcards.evaluation)]["count"],
        choice=CONFIG["metrics"][choice] if choice else None,
        reference=list(input.reference) if wildcards.family == "fid" else None,
        seed=SEED,
    )


localrules:
    aggregate,


rule aggregate:
    input:
        unpack(aggregate_scores),
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
        code=code("aggregate.py"),
        flags=aggregate_flags,
    shell:
        "python scripts/aggregate.py --family {wildcards.family} --scores {input.scores}"
        " {params.flags} --output {output} > {log} 2>&1"
