# Needs: a backbone's pipeline (its VAE), the checked split, Inception and VGG weights.
# Gives: vae/<backbone>/reconstruction-<i>-of-<n>.json, scores and features of each image
#        reconstructed by the F16 VAE, and their aggregate vae/<backbone>/reconstruction.json.
RECONSTRUCTION = CONFIG["reconstruction"]


def reconstruct_flags(wildcards):
    return flags(
        folder=CONFIG["splits"][RECONSTRUCTION["split"]]["folder"],
        size=RECONSTRUCTION["size"],
        **CONFIG["vae"],
    )


def reconstruction_shards(backbone):
    pattern = f"{R}/vae/{backbone}/reconstruction-{{shard}}-of-{{shards}}.json"
    return shards(pattern, RECONSTRUCTION["shards"])


rule reconstruct:
    input:
        pipeline=lambda w: backbone_source(w.backbone),
        dataset=split_source(RECONSTRUCTION["split"]),
        check=ancient(checked(RECONSTRUCTION["split"])),
        inception=source("inception"),
        vgg16=source("vgg16"),
    output:
        f"{R}/vae/{{backbone}}/reconstruction-{{shard}}-of-{{shards}}.json",
    log:
        f"{R}/logs/vae/{{backbone}}/{{shard}}-of-{{shards}}.log",
    benchmark:
        f"{R}/benchmarks/vae/{{backbone}}/{{shard}}-of-{{shards}}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: ask("reconstruct", "threads")
    resources:
        mem_mb=ask("reconstruct", "mem_mb"),
        runtime=ask("reconstruct", "runtime"),
        gpu=ask("reconstruct", "gpu"),
    params:
        code=lambda w: code("reconstruct.py", backbone=w.backbone),
        flags=reconstruct_flags,
    shell:
        "python scripts/reconstruct.py --backbone {wildcards.backbone} --pipeline {input.pipeline}"
        " --dataset {input.dataset} --inception {input.inception} --vgg16 {input.vgg16}"
        " {params.flags} --shard {wildcards.shard} --shards {wildcards.shards}"
        " --output {output} > {log} 2>&1"


localrules:
    aggregate_reconstruction,


rule aggregate_reconstruction:
    input:
        lambda w: reconstruction_shards(w.backbone),
    output:
        f"{R}/vae/{{backbone}}/reconstruction.json",
    log:
        f"{R}/logs/vae/{{backbone}}/aggregate.log",
    benchmark:
        f"{R}/benchmarks/vae/{{backbone}}/aggregate.tsv"
    conda:
        "../envs/metrics.yaml"
    params:
        code=code("aggregate.py"),
        flags=flags(expected=CONFIG["splits"][RECONSTRUCTION["split"]]["count"]),
    shell:
        "python scripts/aggregate.py --family reconstruction --scores {input} {params.flags}"
        " --output {output} > {log} 2>&1"
