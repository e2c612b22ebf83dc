# Needs: a backbone's pipeline and all of its latents.
# Gives: train/<model>/step-<step>.json, a chain of segments, each made from the one before; and
#        train/<model>/pipeline.json, the fine-tuned model as a diffusers pipeline (a pipeline
#        composed of two sources, or with a VAE of its own, too).
#
# A segment that is killed goes on from its last periodic save. Those saves lie in a folder that
# is no output (Snakemake deletes outputs before it tries again), named after the digest of the
# code and settings, so that a stale one is never resumed.
from diffusion4k.dag import train


rule train:
    "Trains a model from one segment's end to the next, or from its pipeline to the first."
    input:
        unpack(lambda w: train.CHAIN.start(CONFIG, w)),
        unpack(lambda w: train.dataset(CONFIG)),
        pipeline=lambda w: train.pipeline(CONFIG, w.model),
        latents=lambda w: train.latent_shards(CONFIG, w.model),
    output:
        manifest=temp("<results>/train/{model}/step-{step}.json"),
        state=temp(directory("<results>/train/{model}/step-{step}")),
    log:
        "<logs>/train/{model}/step-{step}.log",
    benchmark:
        "<benchmarks>/train/{model}/step-{step}.tsv"
    wildcard_constraints:
        step=alternatives(train.CHAIN.other_steps(CONFIG)),
    priority: 5
    # inside a SLURM job Snakemake runs once more, and would use all retries up in that one job
    retries: CONFIG["train"]["slots"] - 1 if workflow.is_main_process else 0
    conda:
        "../envs/gpu.yaml"
    threads: lambda w: threads("train", w)
    resources:
        **asks("train", ended_slots=lambda w: train.CHAIN.ended_slots(CONFIG, w)),
        # how, not what: no params, since to run on fewer processes is no reason to train again
        execution=flags(
            processes=key("backbones.{backbone}.train.gpus", then=lambda gpus: max(gpus, 1)),
            micro_batch=key("backbones.{backbone}.train.micro_batch"),
            gradient_checkpointing=train.of_backbone(CONFIG, "gradient_checkpointing"),
            keep_attention=train.of_backbone(CONFIG, "keep_attention"),
            attention=key("train.attention"),
            compile=train.of_backbone(CONFIG, "compile"),
            deterministic=key("train.deterministic"),
            zero_stage=train.of_backbone(CONFIG, "zero_stage"),
            offload_optimizer=train.of_backbone(CONFIG, "offload_optimizer"),
            save_every=key("train.save_every", then=pace),
            time_limit=lambda w: train.time_limit(CONFIG, w),
        ),
        # a segment that made no progress in this run of Snakemake's attempts is given up
        attempt=lambda w, attempt: attempt,
    params:
        code=code(train.CODE),
        # what decides the weights, a line a flag: `recipe` in scripts/diffusion4k/dag/train.py,
        # because `make status` asks for it too
        flags=train.recipe(CONFIG),
        images=lambda w, input: (
            f"--dataset {input.dataset} --folder {train.folder(CONFIG)}"
            if "dataset" in input.keys()
            else ""
        ),
        start=lambda w, input: f"--start {input.start}" if "start" in input.keys() else "",
        progress=lambda w: train.CHAIN.progress_folder(CONFIG, w),
    shell:
        "{resources.launch} scripts/train.py --pipeline {input.pipeline} --latents {input.latents}"
        " {params.images} {params.start} --stop-step {wildcards.step} {params.flags} {resources.execution}"
        " --attempt {resources.attempt} --progress-folder {params.progress}"
        " --output {output.manifest} >> {log} 2>&1"


use rule train as train_kept with:
    output:
        manifest="<results>/train/{model}/step-{step}.json",
        state=directory("<results>/train/{model}/step-{step}"),
    wildcard_constraints:
        step=alternatives(train.CHAIN.kept_steps(CONFIG)),


rule export:
    "Puts a transformer and a VAE, fine-tuned or another source's, into a pipeline of its own."
    input:
        unpack(lambda w: train.parts(CONFIG, w.model)),
        pipeline=lambda w: train.pipeline(CONFIG, w.model),
    output:
        "<results>/train/{model}/pipeline.json",
    log:
        "<logs>/train/{model}/export.log",
    benchmark:
        "<benchmarks>/train/{model}/export.tsv"
    wildcard_constraints:
        model=alternatives(train.exported(CONFIG)),
    priority: 6
    conda:
        "../envs/gpu.yaml"
    threads: threads("export")
    resources:
        **asks("export"),
    params:
        code=code("diffusion4k/pipelines/export.py"),
        flags=flags(encoder=key("vae.encoder"), decoder=key("vae.decoder")),
        parts=lambda w: flags(**train.parts(CONFIG, w.model))(w),
    shell:
        "python scripts/export.py --pipeline {input.pipeline} {params.parts} {params.flags}"
        " --output {output} > {log} 2>&1"
