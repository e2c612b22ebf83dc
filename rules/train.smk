# Needs: a backbone's pipeline and all of its latents.
# Gives: train/<model>/step-<step>.json, a chain of segments, each made from the one before; and
#        train/<model>/pipeline.json, the fine-tuned model as a diffusers pipeline (a pipeline
#        composed of two sources too).
#
# A segment that is killed goes on from its last periodic save. Those saves lie in a folder that
# is no output (Snakemake deletes outputs before it tries again), named after the digest of the
# code and settings, so that a stale one is never resumed.


rule train:
    input:
        unpack(S.previous_step),
        unpack(S.train_dataset),
        pipeline=lambda w: S.backbone_source(S.backbone(w.model)),
        latents=lambda w: S.latents_shards(S.backbone(w.model)),
    output:
        manifest=temp(f"{R}/train/{{model}}/step-{{step}}.json"),
        state=temp(directory(f"{R}/train/{{model}}/step-{{step}}")),
    log:
        f"{R}/logs/train/{{model}}/step-{{step}}.log",
    benchmark:
        f"{R}/benchmarks/train/{{model}}/step-{{step}}.tsv"
    wildcard_constraints:
        step=alternatives(f"{s:06d}" for s in S.segments if s not in S.kept),
    priority: 5
    # inside a SLURM job Snakemake runs once more, and would use all retries up in that one job
    retries: CONFIG["train"]["slots"] - 1 if workflow.is_main_process else 0
    conda:
        "../envs/gpu.yaml"
    threads: S.threads("train")
    resources:
        **S.resources("train"),
        # not params: to run on fewer processes is no reason to train again
        execution=S.train_execution,
        # a segment that made no progress in this run of Snakemake's attempts is given up
        attempt=lambda w, attempt: attempt,
    params:
        code=S.train_code,
        flags=S.train_flags,
        images=S.train_images,
        start=lambda w, input: f"--start {input.start}" if "start" in input.keys() else "",
        progress=S.progress_folder,
    shell:
        "{resources.launch} scripts/train.py --pipeline {input.pipeline} --latents {input.latents}"
        " {params.images} {params.start} --stop-step {wildcards.step} {params.flags} {resources.execution}"
        " --attempt {resources.attempt} --progress-folder {params.progress}"
        " --output {output.manifest} >> {log} 2>&1"


use rule train as train_kept with:
    output:
        manifest=f"{R}/train/{{model}}/step-{{step}}.json",
        state=directory(f"{R}/train/{{model}}/step-{{step}}"),
    wildcard_constraints:
        step=alternatives(f"{s:06d}" for s in S.kept),


# the fine-tuned transformer, or another source's, in a pipeline that stands by itself
rule export:
    input:
        pipeline=lambda w: S.model_source(w.model),
        state=lambda w: S.new_transformer(w.model),
    output:
        f"{R}/train/{{model}}/pipeline.json",
    log:
        f"{R}/logs/train/{{model}}/export.log",
    benchmark:
        f"{R}/benchmarks/train/{{model}}/export.tsv"
    wildcard_constraints:
        model=alternatives(S.exported),
    priority: 6
    conda:
        "../envs/gpu.yaml"
    threads: S.threads("export")
    resources:
        **S.resources("export"),
    params:
        code=lambda w: S.code("export.py", backbone=S.backbone(w.model)),
        flags=flags(**CONFIG["vae"]),
    shell:
        "python scripts/export.py --pipeline {input.pipeline} --state {input.state} {params.flags}"
        " --output {output} > {log} 2>&1"
