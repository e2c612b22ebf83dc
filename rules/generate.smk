# Needs: a model's pipeline, or somebody's folder of images, and the prompts of an evaluation's split.
# Gives: generate/<model>/<evaluation>/shard-<i>-of-<n>.json, the images beside it. A generated image
#        depends on model, prompt id, seed policy, size and settings, never on the shard.
#        efficiency/<cost>/<evaluation>.json, what one of its pictures takes.


rule generate:
    input:
        model=lambda w: S.pipeline_file(w.model),
        dataset=S.evaluation_source,
    output:
        f"{R}/generate/{{model}}/{{evaluation}}/shard-{{shard}}-of-{{shards}}.json",
    log:
        f"{R}/logs/generate/{{model}}/{{evaluation}}/{{shard}}-of-{{shards}}.log",
    benchmark:
        f"{R}/benchmarks/generate/{{model}}/{{evaluation}}/{{shard}}-of-{{shards}}.tsv"
    wildcard_constraints:
        model=alternatives(S.sampled),
    conda:
        "../envs/gpu.yaml"
    threads: S.threads("generate")
    resources:
        **S.resources("generate"),
        # not params: offloading changes memory and time, not the image
        offload=flags(offload=CONFIG["generate"]["offload"]),
    params:
        code=lambda w: S.code("generate.py", backbone=S.backbone(w.model)),
        flags=S.generate_flags,
    shell:
        "{resources.launch} scripts/generate.py --model {input.model} --dataset {input.dataset}"
        " {params.flags} {resources.offload} --shard {wildcards.shard} --shards {wildcards.shards}"
        " --output {output} > {log} 2>&1"


rule efficiency:
    input:
        lambda w: S.pipeline_file(S.efficiency_model(w.cost)),
    output:
        f"{R}/efficiency/{{cost}}/{{evaluation}}.json",
    log:
        f"{R}/logs/efficiency/{{cost}}/{{evaluation}}.log",
    benchmark:
        f"{R}/benchmarks/efficiency/{{cost}}/{{evaluation}}.tsv"
    wildcard_constraints:
        cost=alternatives(CONFIG["efficiency"]),
    conda:
        "../envs/gpu.yaml"
    threads: S.threads("generate")
    resources:
        **S.resources("generate"),
    params:
        code=lambda w: S.code("efficiency.py", backbone=S.backbone(S.efficiency_model(w.cost))),
        flags=S.efficiency_flags,
    shell:
        "{resources.launch} scripts/efficiency.py --model {input} {params.flags}"
        " --output {output} > {log} 2>&1"


# a folder of images that somebody brings: matched to the prompts, checked and taken as if generated,
# by one job an evaluation, so that all that is wrong with it is said at once
for evaluation in CONFIG["evaluations"]:

    rule:
        name:
            f"adopt_{evaluation}"
        input:
            dataset=S.split_source(S.evaluation_split(evaluation)),
        output:
            # a pattern of {model}, escaped once for the shard numbers
            S.image_shards("{{model}}", evaluation),
        log:
            f"{R}/logs/generate/{{model}}/{evaluation}/adopt.log",
        benchmark:
            f"{R}/benchmarks/generate/{{model}}/{evaluation}/adopt.tsv"
        wildcard_constraints:
            model=alternatives(S.adopted),
        conda:
            "../envs/metrics.yaml"
        threads: S.threads("check")
        resources:
            **S.resources("check"),
        params:
            code=lambda w: S.code("import_images.py"),
            flags=S.adopt_flags(evaluation),
            files=S.adopted_files(evaluation),
        shell:
            "python scripts/import_images.py --dataset {input.dataset} {params.flags}"
            " --output {output} > {log} 2>&1"
