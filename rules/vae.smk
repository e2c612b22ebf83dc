# Needs: a backbone's pipeline (its VAE), the checked split, Inception and VGG weights.
# Gives: vae/<backbone>/reconstruction-<i>-of-<n>.json, scores and features of each image
#        reconstructed by the F16 VAE, and their aggregate vae/<backbone>/reconstruction.json.
RECONSTRUCTION = CONFIG["reconstruction"]


rule reconstruct:
    input:
        pipeline=lambda w: S.backbone_source(w.backbone),
        dataset=S.split_source(RECONSTRUCTION["split"]),
        check=ancient(S.checked(RECONSTRUCTION["split"])),
        inception=S.source("inception"),
        vgg16=S.source("vgg16"),
    output:
        f"{R}/vae/{{backbone}}/reconstruction-{{shard}}-of-{{shards}}.json",
    log:
        f"{R}/logs/vae/{{backbone}}/{{shard}}-of-{{shards}}.log",
    benchmark:
        f"{R}/benchmarks/vae/{{backbone}}/{{shard}}-of-{{shards}}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: S.threads("reconstruct")
    resources:
        **S.resources("reconstruct"),
    params:
        code=lambda w: S.code("reconstruct.py", backbone=w.backbone),
        flags=S.reconstruct_flags,
    shell:
        "{resources.launch} scripts/reconstruct.py --backbone {wildcards.backbone}"
        " --pipeline {input.pipeline} --dataset {input.dataset} --inception {input.inception} --vgg16 {input.vgg16}"
        " {params.flags} --shard {wildcards.shard} --shards {wildcards.shards}"
        " --output {output} > {log} 2>&1"


localrules:
    aggregate_reconstruction,


rule aggregate_reconstruction:
    input:
        lambda w: S.reconstruction_shards(w.backbone),
    output:
        f"{R}/vae/{{backbone}}/reconstruction.json",
    log:
        f"{R}/logs/vae/{{backbone}}/aggregate.log",
    benchmark:
        f"{R}/benchmarks/vae/{{backbone}}/aggregate.tsv"
    conda:
        "../envs/metrics.yaml"
    params:
        code=S.code("aggregate.py"),
        flags=flags(expected=S.reconstruction_count()),
    shell:
        "python scripts/aggregate.py --family reconstruction --scores {input} {params.flags}"
        " --output {output} > {log} 2>&1"
