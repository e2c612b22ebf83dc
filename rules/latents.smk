# Needs: a backbone's pipeline (its VAE and text encoders) and the checked training split.
# Gives: latents/<backbone>/shard-<i>-of-<n>.json, one safetensors file a sample beside it.


rule latents:
    input:
        pipeline=lambda w: S.backbone_source(w.backbone),
        dataset=S.split_source(CONFIG["latents"]["split"]),
        check=ancient(S.checked(CONFIG["latents"]["split"])),
    output:
        f"{R}/latents/{{backbone}}/shard-{{shard}}-of-{{shards}}.json",
    log:
        f"{R}/logs/latents/{{backbone}}/{{shard}}-of-{{shards}}.log",
    benchmark:
        f"{R}/benchmarks/latents/{{backbone}}/{{shard}}-of-{{shards}}.tsv"
    priority: 8
    conda:
        "../envs/gpu.yaml"
    threads: S.threads("latents")
    resources:
        **S.resources("latents"),
    params:
        code=lambda w: S.code("latents.py", backbone=w.backbone),
        flags=S.latents_flags,
    shell:
        "{resources.launch} scripts/latents.py --pipeline {input.pipeline}"
        " --dataset {input.dataset} {params.flags} --shard {wildcards.shard} --shards {wildcards.shards}"
        " --output {output} > {log} 2>&1"
