# Needs: a model's pipeline and the prompts of an evaluation's split.
# Gives: generate/<model>/<evaluation>/shard-<i>-of-<n>.json, the images beside it. An image
#        depends on model, prompt id, seed policy, size and settings, never on the shard.


def pipeline_file(model):
    """A model's pipeline: the fine-tuned one, or the backbone's own."""
    if model in TRAINED:
        return f"{R}/train/{model}/pipeline.json"
    return backbone_source(backbone_of(model))


def evaluation_split(evaluation):
    return CONFIG["evaluations"][evaluation]["split"]


def evaluation_folder(evaluation):
    return CONFIG["splits"][evaluation_split(evaluation)]["folder"]


def generate_flags(wildcards):
    size = size_of(wildcards.evaluation)
    return flags(
        folder=evaluation_folder(wildcards.evaluation),
        height=size,
        width=size,
        **CONFIG["backbones"][backbone_of(wildcards.model)]["generate"],
        **{k: CONFIG["generate"][k] for k in ("negative_prompt", "seed_policy", "dtype")},
        seed=SEED,
        **CONFIG["vae"],
    )


def image_shards(model, evaluation):
    pattern = f"{R}/generate/{model}/{evaluation}/shard-{{shard}}-of-{{shards}}.json"
    return shards(pattern, CONFIG["evaluations"][evaluation]["shards"])


rule generate:
    input:
        model=lambda w: pipeline_file(w.model),
        dataset=lambda w: split_source(evaluation_split(w.evaluation)),
    output:
        f"{R}/generate/{{model}}/{{evaluation}}/shard-{{shard}}-of-{{shards}}.json",
    log:
        f"{R}/logs/generate/{{model}}/{{evaluation}}/{{shard}}-of-{{shards}}.log",
    benchmark:
        f"{R}/benchmarks/generate/{{model}}/{{evaluation}}/{{shard}}-of-{{shards}}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: ask("generate", "threads")
    resources:
        mem_mb=ask("generate", "mem_mb"),
        runtime=ask("generate", "runtime"),
        gpu=ask("generate", "gpu"),
        # not params: offloading changes memory and time, not the image
        offload=flags(offload=CONFIG["generate"]["offload"]),
    params:
        code=lambda w: code("generate.py", backbone=backbone_of(w.model)),
        flags=generate_flags,
    shell:
        "python scripts/generate.py --model {input.model} --dataset {input.dataset} {params.flags}"
        " {resources.offload} --shard {wildcards.shard} --shards {wildcards.shards}"
        " --output {output} > {log} 2>&1"
