# Needs: a backbone's pipeline and all of its latents.
# Gives: train/<model>/step-<step>.json, a chain of segments, each made from the one before; and
#        train/<model>/pipeline.json, the fine-tuned model as a diffusers pipeline.
#
# A segment that is killed goes on from its last periodic save. Those saves lie in a folder that
# is no output (Snakemake deletes outputs before it tries again), named after the digest of the
# code and settings, so that a stale one is never resumed.
import hashlib

SEGMENTS = sorted({*range(0, CONFIG["train"]["steps"], CONFIG["train"]["segment"])} - {0})
SEGMENTS = [*SEGMENTS, CONFIG["train"]["steps"]]
KEPT = [s for s in SEGMENTS if s == SEGMENTS[-1] or s in CONFIG["train"]["keep"]]


def step_file(model, step):
    return f"{R}/train/{model}/step-{step:06d}.json"


def previous_step(wildcards):
    """The manifest that a segment starts from; the first one starts from the pipeline itself."""
    before = [step for step in SEGMENTS if step < int(wildcards.step)]
    return {"start": step_file(wildcards.model, before[-1])} if before else {}


def train_flags(wildcards):
    backbone = backbone_of(wildcards.model)
    training = dict(CONFIG["train"])
    recipe = CONFIG["recipes"][CONFIG["models"][wildcards.model]["recipe"]]
    own = CONFIG["backbones"][backbone]["train"]
    keys = "learning_rate weight_decay beta1 beta2 epsilon clip warmup_steps precision"
    return flags(
        backbone=backbone,
        **recipe,
        **{key: own[key] for key in ("guidance", "timestep_shift", "subtract_shift")},
        **{key: own[key] for key in ("global_batch", "repeat_draws_every")},
        **{key: training[key] for key in (*keys.split(), "flip_probability")},
        seed=SEED,
    )


def train_execution(wildcards):
    """How, not what: flags that change speed, memory or safety but not the recipe."""
    own = CONFIG["backbones"][backbone_of(wildcards.model)]["train"]
    keys = ("gradient_checkpointing", "zero_stage", "offload_optimizer", "save_every")
    return flags(
        processes=max(own["gpus"], 1),
        micro_batch=own["micro_batch"],
        **{key: CONFIG["train"][key] for key in keys},
    )


def train_launch(wildcards):
    gpus = CONFIG["backbones"][backbone_of(wildcards.model)]["train"]["gpus"]
    if gpus <= 1:
        return "python"
    return f"accelerate launch --multi_gpu --num_machines 1 --num_processes {gpus} --main_process_port 0"


def train_code(wildcards):
    return code("train.py", backbone=backbone_of(wildcards.model))


def progress_folder(wildcards):
    key = hashlib.sha256((train_flags(wildcards) + train_code(wildcards)).encode()).hexdigest()
    return f"{R}/train/{wildcards.model}/progress/{key[:16]}-{wildcards.step}"


rule train:
    input:
        unpack(previous_step),
        pipeline=lambda w: backbone_source(backbone_of(w.model)),
        latents=lambda w: latents_shards(backbone_of(w.model)),
    output:
        manifest=temp(f"{R}/train/{{model}}/step-{{step}}.json"),
        state=temp(directory(f"{R}/train/{{model}}/step-{{step}}")),
    log:
        f"{R}/logs/train/{{model}}/step-{{step}}.log",
    benchmark:
        f"{R}/benchmarks/train/{{model}}/step-{{step}}.tsv"
    wildcard_constraints:
        step=alternatives(f"{s:06d}" for s in SEGMENTS if s not in KEPT),
    priority: 5
    retries: 2
    conda:
        "../envs/gpu.yaml"
    threads: ask("train", "threads")
    resources:
        mem_mb=ask("train", "mem_mb"),
        runtime=ask("train", "runtime"),
        gpu=lambda w: CONFIG["backbones"][backbone_of(w.model)]["train"]["gpus"],
        # not params: to run on fewer processes is no reason to train again
        launch=train_launch,
        execution=train_execution,
    params:
        code=train_code,
        flags=train_flags,
        start=lambda w, input: f"--start {input.start}" if "start" in input.keys() else "",
        progress=progress_folder,
    shell:
        "{resources.launch} scripts/train.py --pipeline {input.pipeline} --latents {input.latents}"
        " {params.start} --stop-step {wildcards.step} {params.flags} {resources.execution}"
        " --progress-folder {params.progress} --output {output.manifest} >> {log} 2>&1"


use rule train as train_kept with:
    output:
        manifest=f"{R}/train/{{model}}/step-{{step}}.json",
        state=directory(f"{R}/train/{{model}}/step-{{step}}"),
    wildcard_constraints:
        step=alternatives(f"{s:06d}" for s in KEPT),


rule export:
    input:
        pipeline=lambda w: backbone_source(backbone_of(w.model)),
        state=lambda w: step_file(w.model, SEGMENTS[-1]),
    output:
        f"{R}/train/{{model}}/pipeline.json",
    log:
        f"{R}/logs/train/{{model}}/export.log",
    benchmark:
        f"{R}/benchmarks/train/{{model}}/export.tsv"
    wildcard_constraints:
        model=alternatives(TRAINED),
    priority: 6
    conda:
        "../envs/gpu.yaml"
    threads: ask("export", "threads")
    resources:
        mem_mb=ask("export", "mem_mb"),
        runtime=ask("export", "runtime"),
    params:
        code=code("export.py"),
        flags=flags(**CONFIG["vae"]),
    shell:
        "python scripts/export.py --pipeline {input.pipeline} --state {input.state} {params.flags}"
        " --output {output} > {log} 2>&1"
