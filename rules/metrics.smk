# Needs: generated images, reference photographs and prompts, the metric networks.
# Gives: metrics/<model>/<evaluation>/<family>-<i>-of-<n>.json, a row an image, and
#        metrics/<model>/<evaluation>/<family>.json, the aggregates that tables read.
#        metrics/<model>/<evaluation>/<family>-against-<other>.json, paired differences, and
#        metrics/ratings/<metric>.json, correlations with human ratings where there are any.
# families: texture (GLCM Score, Compression Ratio), alignment (CLIPScore, Aesthetics), fid,
#           distance (to the prompt's photograph; not in the paper), quality (MUSIQ, MANIQA)
NETWORKS = S.networks()
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
        code=lambda w: S.code("texture.py"),
        flags=flags(**CONFIG["metrics"]["glcm"]),
    shell:
        "python scripts/texture.py --images {input} {params.flags} --output {output} > {log} 2>&1"


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
        code=lambda w: S.code("features.py"),
        networks=lambda w, input: flags(**{name: input[name] for name in NETWORKS}),
        flags=S.features_flags,
    shell:
        "{resources.launch} scripts/features.py --images {input.images} --dataset {input.dataset}"
        " {params.networks} {params.flags} {resources.batch} --output {output} > {log} 2>&1"


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
        code=lambda w: S.code("features.py"),
        networks=lambda w, input: flags(**{name: input[name] for name in NETWORKS}),
        flags=S.reference_flags,
    shell:
        "{resources.launch} scripts/features.py --reference --dataset {input.dataset}"
        " {params.networks} {params.flags} {resources.batch} --shard {wildcards.shard} --shards {wildcards.shards}"
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
        code=lambda w: S.code("distance.py"),
        flags=S.sized_flags,
    shell:
        "python scripts/distance.py --images {input.images} --dataset {input.dataset}"
        " {params.flags} --output {output} > {log} 2>&1"


# MUSIQ and MANIQA, in an environment of their own: conda's, or what `make env-iqa` makes
rule quality:
    input:
        check_iqa,
        images=f"{R}/generate/{{model}}/{{evaluation}}/shard-{SHARD}.json",
        musiq=S.source("musiq"),
        maniqa=S.source("maniqa"),
    output:
        f"{METRICS}/quality-{SHARD}.json",
    log:
        f"{R}/logs/metrics/{{model}}/{{evaluation}}/quality-{SHARD}.log",
    benchmark:
        f"{R}/benchmarks/metrics/{{model}}/{{evaluation}}/quality-{SHARD}.tsv"
    conda:
        "../envs/iqa.yaml"
    threads: S.threads("quality")
    resources:
        **S.resources("quality"),
        # not params: the same packages, wherever they are
        path="$PATH" if CONDA else f"'{IQA_BIN}':$PATH",
    params:
        code=lambda w: S.code("quality.py"),
        flags=lambda w: flags(size=S.size(w.evaluation)),
    shell:
        "env PATH={resources.path} {resources.launch} scripts/quality.py --images {input.images} --musiq {input.musiq}"
        " --maniqa {input.maniqa} {params.flags} --output {output} > {log} 2>&1"


localrules:
    aggregate,
    compare,


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
        code=lambda w: S.code("aggregate.py"),
        flags=S.aggregate_flags,
    shell:
        "python scripts/aggregate.py --family {wildcards.family} --scores {input.scores}"
        " {params.flags} --output {output} > {log} 2>&1"


rule compare:
    input:
        unpack(S.compare_scores),
    output:
        f"{METRICS}/{{family}}-against-{{other}}.json",
    log:
        f"{R}/logs/metrics/{{model}}/{{evaluation}}/{{family}}-against-{{other}}.log",
    benchmark:
        f"{R}/benchmarks/metrics/{{model}}/{{evaluation}}/{{family}}-against-{{other}}.tsv"
    wildcard_constraints:
        family=alternatives(configuration.PAIRED),
        other=alternatives(CONFIG["models"]),
    conda:
        "../envs/metrics.yaml"
    params:
        code=lambda w: S.code("compare.py"),
        flags=S.compare_flags,
    shell:
        "python scripts/compare.py --family {wildcards.family} --scores {input.scores}"
        " --against {input.against} {params.flags} --output {output} > {log} 2>&1"


# a row of Table 1; there is none without ratings, and the paper's were never released
if "ratings" in CONFIG:

    rule correlate:
        input:
            ratings=CONFIG["ratings"]["path"],
            scores=lambda w: [path for _, path in S.rated_scores(w.metric)],
        output:
            f"{R}/metrics/ratings/{{metric}}.json",
        log:
            f"{R}/logs/metrics/ratings/{{metric}}.log",
        benchmark:
            f"{R}/benchmarks/metrics/ratings/{{metric}}.tsv"
        wildcard_constraints:
            metric=alternatives(configuration.RATED),
        localrule: True
        conda:
            "../envs/metrics.yaml"
        params:
            code=lambda w: S.code("correlate.py"),
            flags=S.correlate_flags,
        shell:
            "python scripts/correlate.py --ratings {input.ratings} {params.flags}"
            " --output {output} > {log} 2>&1"
