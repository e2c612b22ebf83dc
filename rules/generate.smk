# Needs: a model's pipeline, or somebody's folder of images, and the prompts of an evaluation's split.
# Gives: generate/<model>/<evaluation>/shard-<i>-of-<n>.json, the images beside it. A generated image
#        depends on model, prompt id, seed policy, size and settings, never on the shard.
#        efficiency/<cost>/<evaluation>.json, what one of its pictures takes.
from diffusion4k.dag import generate


rule generate:
    "Draws the pictures of one shard of an evaluation's prompts."
    input:
        model=lambda w: generate.pipeline(CONFIG, w.model),
        dataset=lambda w: generate.dataset(CONFIG, w.evaluation, w.model),
        kernel=lambda w: generate.kernel(CONFIG) or [],
    output:
        "<results>/generate/{model}/{evaluation}/shard-{shard}-of-{shards}.json",
    log:
        "<logs>/generate/{model}/{evaluation}/{shard}-of-{shards}.log",
    benchmark:
        "<benchmarks>/generate/{model}/{evaluation}/{shard}-of-{shards}.tsv"
    wildcard_constraints:
        model=alternatives(generate.sampled(CONFIG)),
    conda:
        "../envs/gpu.yaml"
    threads: threads("generate")
    resources:
        **asks("generate"),
        # not params: offloading changes memory and time, not the image
        offload=flags(offload=key("generate.offload")),
    params:
        code=code("diffusion4k/generate/shard.py"),
        flags=flags(
            folder=key("splits.{split}.folder"),
            height=key("evaluations.{evaluation}.size", then=shape.height),
            width=key("evaluations.{evaluation}.size", then=shape.width),
            # a model's own settings, else its backbone's; else those of its pipeline's class
            steps=key("models.{model}.generate.steps", "backbones.{backbone}.generate.steps"),
            guidance=key(
                "models.{model}.generate.guidance", "backbones.{backbone}.generate.guidance"
            ),
            t5_tokens=key(
                "models.{model}.generate.t5_tokens", "backbones.{backbone}.generate.t5_tokens"
            ),
            of_class=lambda w: generate.of_class(CONFIG, w.model),
            negative_prompt=key("generate.negative_prompt"),
            seed=key("seed"),
            seed_policy=key("generate.seed_policy"),
            dtype=key("generate.dtype"),
            attention=key("generate.attention"),
            kernel=lambda w: generate.kernel(CONFIG),
            compile=key("generate.compile"),
            png=key("metrics.score_input", then=generate.keeps_png),
            vae_tiling=key("models.{model}.generate.vae_tiling", "generate.vae_tiling"),
            vae_factor=key("models.{model}.vae_factor"),
            encoder=key("vae.encoder"),
            decoder=key("vae.decoder"),
        ),
    shell:
        "{resources.launch} scripts/generate.py --model {input.model} --dataset {input.dataset}"
        " {params.flags} {resources.offload} --shard {wildcards.shard} --shards {wildcards.shards}"
        " --output {output} > {log} 2>&1"


rule efficiency:
    "Measures what one picture takes: memory, and seconds of a denoising step."
    input:
        model=lambda w: generate.pipeline(CONFIG, generate.timed_model(CONFIG, w.cost)),
        kernel=lambda w: generate.kernel(CONFIG) or [],
    output:
        "<results>/efficiency/{cost}/{evaluation}.json",
    log:
        "<logs>/efficiency/{cost}/{evaluation}.log",
    benchmark:
        "<benchmarks>/efficiency/{cost}/{evaluation}.tsv"
    wildcard_constraints:
        cost=alternatives(CONFIG["efficiency"]),
    conda:
        "../envs/gpu.yaml"
    threads: threads("generate")
    resources:
        **asks("generate"),
    params:
        code=code("efficiency.py"),
        flags=flags(
            size=key("evaluations.{evaluation}.size", then=shape.text),
            guidance=key(
                "models.{model}.generate.guidance", "backbones.{backbone}.generate.guidance"
            ),
            t5_tokens=key(
                "models.{model}.generate.t5_tokens", "backbones.{backbone}.generate.t5_tokens"
            ),
            dtype=key("generate.dtype"),
            attention=key("generate.attention"),
            kernel=lambda w: generate.kernel(CONFIG),
            compile=key("generate.compile"),
            offload=key("efficiency.{cost}.offload"),
            vae_tiling=key("generate.vae_tiling"),
            vae_factor=key("efficiency.{cost}.vae_factor", "models.{model}.vae_factor"),
            encoder=key("vae.encoder"),
            decoder=key("vae.decoder"),
        ),
    shell:
        "{resources.launch} scripts/efficiency.py --model {input.model} {params.flags}"
        " --output {output} > {log} 2>&1"


# one rule an evaluation: all shards of it are outputs of one job, so that all that is wrong with a
# folder is said at once, and how many they are differs
for evaluation in CONFIG["evaluations"]:

    rule:
        "Takes a model's finished pictures of an evaluation, a file a prompt, as if drawn here."
        name:
            f"import_images_{evaluation}"
        input:
            dataset=lambda w, of=evaluation: generate.dataset(CONFIG, of, w.model),
        output:
            generate.manifests(CONFIG, "{model}", evaluation),
        log:
            "<logs>/generate/{model}/<evaluation>/import_images.log",
        benchmark:
            "<benchmarks>/generate/{model}/<evaluation>/import_images.tsv"
        pathvars:
            evaluation=evaluation,
        wildcard_constraints:
            model=alternatives(generate.brought(CONFIG)),
        conda:
            "../envs/metrics.yaml"
        threads: threads("check")
        resources:
            **asks("check"),
        params:
            code=code("import_images.py"),
            flags=flags(
                images=lambda w, of=evaluation: generate.own_images(CONFIG, w.model, of),
                folder=key(f"splits.{CONFIG['evaluations'][evaluation]['split']}.folder"),
                size=key(f"evaluations.{evaluation}.size", then=shape.text),
                png=key("metrics.score_input", then=generate.keeps_png),
            ),
            files=lambda w, of=evaluation: generate.own_files(CONFIG, w.model, of),
        shell:
            "python scripts/import_images.py --dataset {input.dataset} {params.flags}"
            " --output {output} > {log} 2>&1"
