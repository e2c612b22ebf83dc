# Needs: generated images, reference photographs and prompts, the metric networks.
# Gives: metrics/<model>/<evaluation>/<stage>-<i>-of-<n>.json, a row an image, and
#        metrics/<model>/<evaluation>/<family>.json, the aggregates that tables read.
#        metrics/<model>/<evaluation>/<family>-against-<other>.json, paired differences, and
#        metrics/ratings/<metric>.json, correlations with human ratings where there are any.
#
# What the families are is written in scripts/diffusion4k/metrics/families, a module a family; one
# that scores single images needs no rule of its own, see per_image.
from diffusion4k.dag import metrics


rule texture:
    "Scores GLCM and Compression Ratio of each generated JPEG."
    input:
        lambda w: metrics.pictures(CONFIG, w),
    output:
        "<results>/metrics/{model}/{evaluation}/texture-{shard}-of-{shards}.json",
    log:
        "<logs>/metrics/{model}/{evaluation}/texture-{shard}-of-{shards}.log",
    benchmark:
        "<benchmarks>/metrics/{model}/{evaluation}/texture-{shard}-of-{shards}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: threads("texture")
    resources:
        **asks("texture"),
    params:
        code=code("texture.py"),
        flags=flags(
            patch=key("metrics.glcm.patch"),
            levels=key("metrics.glcm.levels"),
            distances=key("metrics.glcm.distances"),
            angles=key("metrics.glcm.angles"),
            properties=key("metrics.glcm.properties"),
        ),
    shell:
        "python scripts/texture.py --images {input} {params.flags} --output {output} > {log} 2>&1"


rule per_image:
    "Scores each generated image by a function of its pixels: a family without a rule of its own."
    input:
        lambda w: metrics.pictures(CONFIG, w),
    output:
        "<results>/metrics/{model}/{evaluation}/{family}-{shard}-of-{shards}.json",
    log:
        "<logs>/metrics/{model}/{evaluation}/{family}-{shard}-of-{shards}.log",
    benchmark:
        "<benchmarks>/metrics/{model}/{evaluation}/{family}-{shard}-of-{shards}.tsv"
    wildcard_constraints:
        family=alternatives(metrics.per_image()),
    conda:
        "../envs/metrics.yaml"
    threads: threads("texture")
    resources:
        **asks("texture"),
    params:
        code=code("per_image.py"),
    shell:
        "python scripts/per_image.py --family {wildcards.family} --images {input}"
        " --output {output} > {log} 2>&1"


rule features:
    "Everything neural in one pass: CLIPScore, Aesthetics, and the features of FID and KID."
    input:
        **metrics.networks(CONFIG, "features"),
        images=lambda w: metrics.pictures(CONFIG, w),
        dataset=lambda w: metrics.dataset(CONFIG, w.evaluation, w.model),
    output:
        "<results>/metrics/{model}/{evaluation}/features-{shard}-of-{shards}.json",
    log:
        "<logs>/metrics/{model}/{evaluation}/features-{shard}-of-{shards}.log",
    benchmark:
        "<benchmarks>/metrics/{model}/{evaluation}/features-{shard}-of-{shards}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: threads("features")
    resources:
        **asks("features"),
        batch=flags(batch=key("metrics.batch")),
    params:
        code=code("features.py"),
        networks=flags(**metrics.networks(CONFIG, "features")),
        flags=flags(
            folder=key("splits.{split}.folder"),
            score_input=key("metrics.score_input"),
            crop=key("evaluations.{evaluation}.crop"),
            crops=key("evaluations.{evaluation}.crops"),
        ),
    shell:
        "{resources.launch} scripts/features.py --images {input.images} --dataset {input.dataset}"
        " {params.networks} {params.flags} {resources.batch} --output {output} > {log} 2>&1"


rule reference_features:
    "The same networks on the photographs, once an evaluation for every model."
    input:
        **metrics.networks(CONFIG, "features"),
        dataset=lambda w: metrics.dataset(CONFIG, w.evaluation),
        check=lambda w: ancient(metrics.check(CONFIG, w.evaluation)),
    output:
        "<results>/metrics/reference/{evaluation}/features-{shard}-of-{shards}.json",
    log:
        "<logs>/metrics/reference/{evaluation}/features-{shard}-of-{shards}.log",
    benchmark:
        "<benchmarks>/metrics/reference/{evaluation}/features-{shard}-of-{shards}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: threads("features")
    resources:
        **asks("features"),
        batch=flags(batch=key("metrics.batch")),
    params:
        code=code("features.py"),
        networks=flags(**metrics.networks(CONFIG, "features")),
        flags=flags(
            folder=key("splits.{split}.folder"),
            size=key("evaluations.{evaluation}.size", then=shape.text),
            crop=key("evaluations.{evaluation}.crop"),
            crops=key("evaluations.{evaluation}.crops"),
        ),
    shell:
        "{resources.launch} scripts/features.py --reference --dataset {input.dataset}"
        " {params.networks} {params.flags} {resources.batch} --shard {wildcards.shard} --shards {wildcards.shards}"
        " --output {output} > {log} 2>&1"


rule distance:
    "Compares each generated picture with its prompt's photograph, pixel by pixel."
    input:
        images=lambda w: metrics.pictures(CONFIG, w),
        dataset=lambda w: metrics.dataset(CONFIG, w.evaluation),
    output:
        "<results>/metrics/{model}/{evaluation}/distance-{shard}-of-{shards}.json",
    log:
        "<logs>/metrics/{model}/{evaluation}/distance-{shard}-of-{shards}.log",
    benchmark:
        "<benchmarks>/metrics/{model}/{evaluation}/distance-{shard}-of-{shards}.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: threads("distance")
    resources:
        **asks("distance"),
    params:
        code=code("distance.py"),
        flags=flags(
            folder=key("splits.{split}.folder"),
            size=key("evaluations.{evaluation}.size", then=shape.text),
        ),
    shell:
        "python scripts/distance.py --images {input.images} --dataset {input.dataset}"
        " {params.flags} --output {output} > {log} 2>&1"


rule quality:
    "MUSIQ and MANIQA, in an environment of their own: conda's, or what `make env-iqa` makes."
    input:
        **metrics.networks(CONFIG, "quality"),
        images=lambda w: metrics.pictures(CONFIG, w),
    output:
        "<results>/metrics/{model}/{evaluation}/quality-{shard}-of-{shards}.json",
    log:
        "<logs>/metrics/{model}/{evaluation}/quality-{shard}-of-{shards}.log",
    benchmark:
        "<benchmarks>/metrics/{model}/{evaluation}/quality-{shard}-of-{shards}.tsv"
    conda:
        "../envs/iqa.yaml"
    threads: threads("quality")
    resources:
        **asks("quality"),
        # not params: the same packages, wherever they are
        path=metrics.iqa_path(CONDA),
    params:
        code=code("quality.py"),
        flags=flags(size=key("evaluations.{evaluation}.size", then=shape.text)),
    shell:
        "env PATH={resources.path} {resources.launch} scripts/quality.py --images {input.images} --musiq {input.musiq}"
        " --maniqa {input.maniqa} {params.flags} --output {output} > {log} 2>&1"


localrules:
    aggregate,
    compare,


rule aggregate:
    "Sums a model's scores up to the numbers that tables show, with their uncertainty."
    input:
        unpack(lambda w: metrics.aggregated(CONFIG, w)),
    output:
        "<results>/metrics/{model}/{evaluation}/{family}.json",
    log:
        "<logs>/metrics/{model}/{evaluation}/{family}.log",
    benchmark:
        "<benchmarks>/metrics/{model}/{evaluation}/{family}.tsv"
    wildcard_constraints:
        family=alternatives(metrics.generated()),
    conda:
        "../envs/metrics.yaml"
    params:
        code=code("aggregate.py"),
        flags=flags(
            reference=lambda w: metrics.aggregated(CONFIG, w).get("reference"),
            expected=key("splits.{split}.count"),
            seed=key("seed"),
        ),
    shell:
        "python scripts/aggregate.py --family {wildcards.family} --scores {input.scores}"
        " {params.flags} --output {output} > {log} 2>&1"


rule compare:
    "The differences between two models' scores, prompt by prompt, with their uncertainty."
    input:
        unpack(lambda w: metrics.compared(CONFIG, w)),
    output:
        "<results>/metrics/{model}/{evaluation}/{family}-against-{other}.json",
    log:
        "<logs>/metrics/{model}/{evaluation}/{family}-against-{other}.log",
    benchmark:
        "<benchmarks>/metrics/{model}/{evaluation}/{family}-against-{other}.tsv"
    wildcard_constraints:
        family=alternatives(metrics.paired()),
        other=alternatives(CONFIG["models"]),
    conda:
        "../envs/metrics.yaml"
    params:
        code=code("compare.py"),
        flags=flags(
            expected=key("splits.{split}.count"),
            seed=key("seed"),
        ),
    shell:
        "python scripts/compare.py --family {wildcards.family} --scores {input.scores}"
        " --against {input.against} {params.flags} --output {output} > {log} 2>&1"


# a row of Table 1; there is none without ratings, and the paper's were never released
if "ratings" in CONFIG:

    rule correlate:
        "How a metric's scores of rated images correlate with their ratings."
        input:
            ratings="<results>/people/ratings.csv",
            scores=lambda w: [path for _, path in metrics.rated(CONFIG, w.metric)],
        output:
            "<results>/metrics/ratings/{metric}.json",
        log:
            "<logs>/metrics/ratings/{metric}.log",
        benchmark:
            "<benchmarks>/metrics/ratings/{metric}.tsv"
        wildcard_constraints:
            metric=alternatives(metrics.correlated()),
        localrule: True
        conda:
            "../envs/metrics.yaml"
        params:
            code=code("correlate.py"),
            flags=flags(
                metric="{metric}",
                scores=lambda w: [f"{m}={path}" for m, path in metrics.rated(CONFIG, w.metric)],
                expected=metrics.count(CONFIG, CONFIG["ratings"]["evaluation"]),
                choice=metrics.form_of_rated(CONFIG),
                seed=key("seed"),
            ),
        shell:
            "python scripts/correlate.py --ratings {input.ratings} {params.flags}"
            " --output {output} > {log} 2>&1"
