# Needs: a backbone's pipeline (its VAE and text encoders) and the checked training split.
# Gives: latents/<backbone>/shard-<i>-of-<n>.json, one safetensors file a sample beside it.
from diffusion4k.dag import latents


rule latents:
    "Encodes one shard of the training set: latents of its crops, embeddings of its captions."
    input:
        unpack(lambda w: latents.vae_of(CONFIG, w.backbone)),
        pipeline=lambda w: latents.pipeline(CONFIG, w.backbone),
        dataset=latents.dataset(CONFIG),
        check=ancient(latents.check(CONFIG)),
    output:
        "<results>/latents/{backbone}/shard-{shard}-of-{shards}.json",
    log:
        "<logs>/latents/{backbone}/{shard}-of-{shards}.log",
    benchmark:
        "<benchmarks>/latents/{backbone}/{shard}-of-{shards}.tsv"
    priority: 8
    conda:
        "../envs/gpu.yaml"
    threads: threads("latents")
    resources:
        **asks("latents"),
    params:
        code=code("diffusion4k/latents/shard.py"),
        vae=lambda w, input: f"--vae {input.vae}" if "vae" in input.keys() else "",
        flags=flags(
            backbone="{backbone}",
            folder=key("splits.{latents.split}.folder"),
            mode=key("latents.mode"),
            size=key("latents.size", then=shape.text),
            crops_per_image=key("latents.crops_per_image"),
            batch=key("latents.batch"),
            dtype=key("latents.dtype"),
            flip=latents.flip(CONFIG),
            t5_tokens=key("backbones.{backbone}.train.t5_tokens"),
            encoder=key("vae.encoder"),
            seed=key("seed"),
        ),
    shell:
        "{resources.launch} scripts/latents.py --pipeline {input.pipeline}"
        " --dataset {input.dataset} {params.vae} {params.flags} --shard {wildcards.shard} --shards {wildcards.shards}"
        " --output {output} > {log} 2>&1"
