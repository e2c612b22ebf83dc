# Needs: the sources of the VAEs (pipelines), the checked split, Inception and VGG weights.
# Gives: vae/<vae>/reconstruction-<i>-of-<n>.json, scores and features of each image reconstructed
#        by one of `vaes`, and their aggregate vae/<vae>/reconstruction.json.
from diffusion4k.dag import vae

RECONSTRUCTED = CONFIG["reconstruction"]["split"]


rule reconstruct:
    "Encodes and decodes one shard of photographs by a VAE, and scores what came of them."
    input:
        vae=lambda w: sources.manifest(CONFIG, CONFIG["vaes"][w.vae]["source"]),
        dataset=sources.of_split(CONFIG, RECONSTRUCTED),
        check=ancient(data.checked(CONFIG, RECONSTRUCTED)),
        inception=sources.manifest(CONFIG, "inception"),
        vgg16=sources.manifest(CONFIG, "vgg16"),
    output:
        "<results>/vae/{vae}/reconstruction-{shard}-of-{shards}.json",
    log:
        "<logs>/vae/{vae}/{shard}-of-{shards}.log",
    benchmark:
        "<benchmarks>/vae/{vae}/{shard}-of-{shards}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: threads("reconstruct")
    resources:
        **asks("reconstruct"),
    params:
        code=code("reconstruct.py"),
        flags=flags(
            folder=key("splits.{reconstruction.split}.folder"),
            size=key("reconstruction.size"),
            crop=key("reconstruction.crop"),
            crops=key("reconstruction.crops"),
            vae_tiling=key("reconstruction.vae_tiling"),
            limit=key("reconstruction.images"),
            factor=key("vaes.{vae}.factor"),
            encoder=key("vaes.{vae}.encoder", "vae.encoder"),
            decoder=key("vaes.{vae}.decoder", "vae.decoder"),
        ),
    shell:
        "{resources.launch} scripts/reconstruct.py --vae {input.vae}"
        " --dataset {input.dataset} --inception {input.inception} --vgg16 {input.vgg16}"
        " {params.flags} --shard {wildcards.shard} --shards {wildcards.shards}"
        " --output {output} > {log} 2>&1"


localrules:
    aggregate_reconstruction,


rule aggregate_reconstruction:
    "Sums the scores of a VAE's reconstructions up to the numbers of Table 2."
    input:
        lambda w: vae.manifests(CONFIG, w.vae),
    output:
        "<results>/vae/{vae}/reconstruction.json",
    log:
        "<logs>/vae/{vae}/aggregate.log",
    benchmark:
        "<benchmarks>/vae/{vae}/aggregate.tsv"
    conda:
        "../envs/metrics.yaml"
    params:
        code=code("aggregate.py", family="reconstruction"),
        flags=flags(
            family="reconstruction",
            expected=key("splits.{reconstruction.split}.count", then=lambda _: vae.count(CONFIG)),
        ),
    shell:
        "python scripts/aggregate.py --scores {input} {params.flags} --output {output} > {log} 2>&1"
