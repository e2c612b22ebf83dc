# Needs: a backbone's pipeline (its VAE and text encoders) and the checked training split.
# Gives: latents/<backbone>/shard-<i>-of-<n>.json, one safetensors file a sample beside it.


def latents_flags(wildcards):
    latents = CONFIG["latents"]
    return flags(
        backbone=wildcards.backbone,
        folder=CONFIG["splits"][latents["split"]]["folder"],
        size=latents["size"],
        crops_per_image=latents["crops_per_image"],
        flip="both" if CONFIG["train"]["flip_probability"] > 0 else "none",
        t5_tokens=CONFIG["backbones"][wildcards.backbone]["train"]["t5_tokens"],
        encoder=CONFIG["vae"]["encoder"],
        dtype=latents["dtype"],
        seed=SEED,
    )


def latents_shards(backbone):
    count = CONFIG["latents"]["shards"]
    return shards(f"{R}/latents/{backbone}/shard-{{shard}}-of-{{shards}}.json", count)


rule latents:
    input:
        pipeline=lambda w: backbone_source(w.backbone),
        dataset=split_source(CONFIG["latents"]["split"]),
        check=ancient(checked(CONFIG["latents"]["split"])),
    output:
        f"{R}/latents/{{backbone}}/shard-{{shard}}-of-{{shards}}.json",
    log:
        f"{R}/logs/latents/{{backbone}}/{{shard}}-of-{{shards}}.log",
    benchmark:
        f"{R}/benchmarks/latents/{{backbone}}/{{shard}}-of-{{shards}}.tsv"
    priority: 8
    conda:
        "../envs/gpu.yaml"
    threads: ask("latents", "threads")
    resources:
        mem_mb=ask("latents", "mem_mb"),
        runtime=ask("latents", "runtime"),
        gpu=ask("latents", "gpu"),
    params:
        code=lambda w: code("latents.py", backbone=w.backbone),
        flags=latents_flags,
    shell:
        "python scripts/latents.py --pipeline {input.pipeline} --dataset {input.dataset}"
        " {params.flags} --shard {wildcards.shard} --shards {wildcards.shards}"
        " --output {output} > {log} 2>&1"
