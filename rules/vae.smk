# Needs: the sources of the VAEs (pipelines), the checked splits, Inception and VGG weights.
# Gives: vae/<vae>/train/step-<step>.json, a chain of segments as in train.smk, for each of `vaes` that
#        is trained here; the last step has a folder vae, the VAE as diffusers saves it. Before:
#        vae/images.json, the images to train on and those that are held out.
#        vae/<vae>/reconstruction-<i>-of-<n>.json, scores and features of each image reconstructed
#        by one of `vaes`, and their aggregate vae/<vae>/reconstruction.json.
from diffusion4k.dag import vae


rule list_images:
    "Lists the images that VAEs are trained on, and those that are held out."
    input:
        dataset=vae.training_set(CONFIG),
        check=ancient(vae.training_check(CONFIG)),
    output:
        "<results>/vae/images.json",
    log:
        "<logs>/vae/images.log",
    benchmark:
        "<benchmarks>/vae/images.tsv"
    conda:
        "../envs/metrics.yaml"
    threads: 1
    resources:
        **asks("check"),
    params:
        code=code("list_images.py"),
        flags=flags(
            folder=key("splits.{vae_training.split}.folder"),
            captioned=key("splits.{vae_training.split}.captioned"),
            held_out=key("vae_training.held_out"),
            seed=key("seed"),
        ),
    shell:
        "python scripts/list_images.py --dataset {input.dataset} {params.flags}"
        " --output {output} > {log} 2>&1"


rule train_vae:
    "Trains a VAE from one segment's end to the next, or from its pipeline's to the first."
    input:
        unpack(lambda w: vae.CHAIN.start(CONFIG, w)),
        pipeline=lambda w: vae.pipeline(CONFIG, w.vae),
        dataset=vae.training_set(CONFIG),
        images=vae.images(CONFIG),
        vgg16=vae.network(CONFIG, "vgg16"),
    output:
        manifest=temp("<results>/vae/{vae}/train/step-{step}.json"),
        state=temp(directory("<results>/vae/{vae}/train/step-{step}")),
    log:
        "<logs>/vae/{vae}/train/step-{step}.log",
    benchmark:
        "<benchmarks>/vae/{vae}/train/step-{step}.tsv"
    wildcard_constraints:
        vae=alternatives(vae.trained(CONFIG)),
        step=alternatives(vae.CHAIN.other_steps(CONFIG)),
    priority: 9
    # as in train.smk, whose remarks hold here too
    retries: CONFIG["train"]["slots"] - 1 if workflow.is_main_process else 0
    conda:
        "../envs/gpu.yaml"
    threads: threads("train_vae")
    resources:
        **asks("train_vae", ended_slots=lambda w: vae.CHAIN.ended_slots(CONFIG, w)),
        execution=flags(
            processes=key("vae_training.gpus", then=lambda gpus: max(gpus, 1)),
            micro_batch=key("vae_training.micro_batch"),
            gradient_checkpointing=key("vae_training.gradient_checkpointing"),
            deterministic=key("train.deterministic"),
            save_every=key("vae_training.save_every", then=pace),
            time_limit=vae.time_limit(CONFIG),
        ),
        attempt=lambda w, attempt: attempt,
    params:
        code=code(vae.CODE),
        # a line a flag: `recipe` in scripts/diffusion4k/dag/vae.py
        flags=vae.recipe(CONFIG),
        start=lambda w, input: f"--start {input.start}" if "start" in input.keys() else "",
        progress=lambda w: vae.CHAIN.progress_folder(CONFIG, w),
    shell:
        "{resources.launch} scripts/train_vae.py --pipeline {input.pipeline} --dataset {input.dataset}"
        " --images {input.images} --vgg16 {input.vgg16} {params.start} --stop-step {wildcards.step}"
        " {params.flags} {resources.execution} --attempt {resources.attempt}"
        " --progress-folder {params.progress} --output {output.manifest} >> {log} 2>&1"


use rule train_vae as train_vae_kept with:
    output:
        manifest="<results>/vae/{vae}/train/step-{step}.json",
        state=directory("<results>/vae/{vae}/train/step-{step}"),
    wildcard_constraints:
        vae=alternatives(vae.trained(CONFIG)),
        step=alternatives(vae.CHAIN.kept_steps(CONFIG)),


rule reconstruct:
    "Encodes and decodes one shard of photographs by a VAE, and scores what came of them."
    input:
        vae=lambda w: vae.manifest(CONFIG, w.vae),
        dataset=lambda w: vae.dataset(CONFIG, w.vae),
        check=lambda w: ancient(vae.check(CONFIG, w.vae)),
        inception=vae.network(CONFIG, "inception"),
        vgg16=vae.network(CONFIG, "vgg16"),
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
            folder=key("splits.{reconstructed}.folder"),
            size=key("reconstruction.size"),
            crop=key("reconstruction.crop"),
            crops=key("reconstruction.crops"),
            vae_tiling=key("reconstruction.vae_tiling"),
            tf32=key("reconstruction.tf32"),
            limit=vae.limit(CONFIG),
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
            expected=lambda w: vae.count(CONFIG, w.vae),
        ),
    shell:
        "python scripts/aggregate.py --scores {input} {params.flags} --output {output} > {log} 2>&1"
