# Needs: a model's pipeline and the prompts of an evaluation's split.
# Gives: generate/<model>/<evaluation>/shard-<i>-of-<n>.json, the images beside it. An image
#        depends on model, prompt id, seed policy, size and settings, never on the shard.


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
