# Needs: the sources of the VAEs (pipelines), the checked split, Inception and VGG weights.
# Gives: vae/<vae>/reconstruction-<i>-of-<n>.json, scores and features of each image reconstructed
#        by one of `vaes`, and their aggregate vae/<vae>/reconstruction.json.
RECONSTRUCTION = CONFIG["reconstruction"]


rule reconstruct:
    input:
        vae=lambda w: S.vae_source(w.vae),
        dataset=S.split_source(RECONSTRUCTION["split"]),
        check=ancient(S.checked(RECONSTRUCTION["split"])),
        inception=S.source("inception"),
        vgg16=S.source("vgg16"),
    output:
        f"{R}/vae/{{vae}}/reconstruction-{{shard}}-of-{{shards}}.json",
    log:
        f"{R}/logs/vae/{{vae}}/{{shard}}-of-{{shards}}.log",
    benchmark:
        f"{R}/benchmarks/vae/{{vae}}/{{shard}}-of-{{shards}}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: S.threads("reconstruct")
    resources:
        **S.resources("reconstruct"),
    params:
        code=lambda w: S.code("reconstruct.py"),
        flags=S.reconstruct_flags,
    shell:
        "{resources.launch} scripts/reconstruct.py --vae {input.vae}"
        " --dataset {input.dataset} --inception {input.inception} --vgg16 {input.vgg16}"
        " {params.flags} --shard {wildcards.shard} --shards {wildcards.shards}"
        " --output {output} > {log} 2>&1"


localrules:
    aggregate_reconstruction,


rule aggregate_reconstruction:
    input:
        lambda w: S.reconstruction_shards(w.vae),
    output:
        f"{R}/vae/{{vae}}/reconstruction.json",
    log:
        f"{R}/logs/vae/{{vae}}/aggregate.log",
    benchmark:
        f"{R}/benchmarks/vae/{{vae}}/aggregate.tsv"
    conda:
        "../envs/metrics.yaml"
    params:
        code=lambda w: S.code("aggregate.py"),
        flags=flags(expected=S.reconstruction_count()),
    shell:
        "python scripts/aggregate.py --family reconstruction --scores {input} {params.flags}"
        " --output {output} > {log} 2>&1"
