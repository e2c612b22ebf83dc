# Needs: pipelines, prompts of a data set or of one's own.
# Gives: pictures/<figure>/… and pictures/people-<model>/…, drawn for a figure, or for those who are
#        asked about a model's pictures, alone: few, and the same bytes as a benchmark's.
from diffusion4k.dag import draw


localrules:
    prompts,


rule prompts:
    "Lists a set of prompts as a data set without photographs."
    output:
        "<results>/prompts/{prompts}.json",
    log:
        "<logs>/prompts/{prompts}.log",
    benchmark:
        "<benchmarks>/prompts/{prompts}.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=code("prompts.py"),
        flags=flags(file=key("prompts.{prompts}.file"), texts=key("prompts.{prompts}.texts")),
        content=lambda w: draw.prompt_digest(CONFIG, w.prompts),
    shell:
        "python scripts/prompts.py {params.flags} --output {output} > {log} 2>&1"


rule draw:
    "Draws some pictures for what shows them alone, of all its models in one job: they are few."
    input:
        lambda w: draw.inputs(CONFIG, w.shown),
    output:
        "<results>/pictures/{shown}/shard-{shard}-of-{shards}.json",
    log:
        "<logs>/pictures/{shown}/{shard}-of-{shards}.log",
    benchmark:
        "<benchmarks>/pictures/{shown}/{shard}-of-{shards}.tsv"
    wildcard_constraints:
        shown=alternatives(draw.showing(CONFIG)),
    conda:
        "../envs/gpu.yaml"
    threads: threads("generate")
    resources:
        **asks("generate"),
        # not params: offloading changes memory and time, not the image
        offload=flags(offload=key("generate.offload")),
    params:
        code=code("draw.py"),
        of_shown=flags(
            # MODEL => what is its own; its `model` is the manifest of its pipeline
            rows=each(
                "model",
                lambda w: draw.sampled(CONFIG, w.shown),
                model=lambda w: draw.pipeline(CONFIG, w.model),
                # unless the figure says them: a model's own settings, else its backbone's
                steps=key(
                    "figures.{shown}.steps",
                    "models.{model}.generate.steps",
                    "backbones.{backbone}.generate.steps",
                    then=draw.unless_varied,
                ),
                guidance=key(
                    "figures.{shown}.guidance",
                    "models.{model}.generate.guidance",
                    "backbones.{backbone}.generate.guidance",
                    then=draw.unless_varied,
                ),
                t5_tokens=key(
                    "models.{model}.generate.t5_tokens", "backbones.{backbone}.generate.t5_tokens"
                ),
                vae_tiling=key("models.{model}.generate.vae_tiling", "generate.vae_tiling"),
                vae_factor=key("models.{model}.vae_factor"),
                dataset=lambda w: draw.own_prompts(CONFIG, w.shown, w.model),
            ),
            of_class=lambda w: draw.of_class(CONFIG, w.shown),
            dataset=lambda w: draw.dataset(CONFIG, w.shown),
            folder=key("splits.{split}.folder"),
            count=lambda w: draw.entry(CONFIG, w.shown).get("count"),
            spread=lambda w: draw.entry(CONFIG, w.shown).get("spread"),
            sizes=key(
                "figures.{shown}.sizes",
                "evaluations.{evaluation}.size",
                then=draw.height_x_width,
            ),
            guidance=key("figures.{shown}.guidance"),
            steps=key("figures.{shown}.steps"),
            seeds=key("figures.{shown}.seeds", "seed", then=draw.as_list),
            in_turn=lambda w: draw.in_turn(CONFIG, w.shown),
            kernel=lambda w: draw.kernel(CONFIG),
        ),
        flags=flags(
            negative_prompt=key("generate.negative_prompt"),
            seed_policy=key("generate.seed_policy"),
            dtype=key("generate.dtype"),
            attention=key("generate.attention"),
            compile=key("generate.compile"),
            encoder=key("vae.encoder"),
            decoder=key("vae.decoder"),
        ),
    shell:
        "{resources.launch} scripts/draw.py {params.of_shown} {params.flags} {resources.offload}"
        " --shard {wildcards.shard} --shards {wildcards.shards} --output {output} > {log} 2>&1"
