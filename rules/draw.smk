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
        flags=lambda w: draw.prompt_flags(CONFIG, w.prompts),
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
        of_shown=lambda w: draw.flags(CONFIG, w.shown),
        flags=flags(
            negative_prompt=key("generate.negative_prompt"),
            seed_policy=key("generate.seed_policy"),
            dtype=key("generate.dtype"),
            attention=key("generate.attention"),
            compile=key("generate.compile"),
            vae_tiling=key("generate.vae_tiling"),
            encoder=key("vae.encoder"),
            decoder=key("vae.decoder"),
        ),
    shell:
        "{resources.launch} scripts/draw.py {params.of_shown} {params.flags} {resources.offload}"
        " --shard {wildcards.shard} --shards {wildcards.shards} --output {output} > {log} 2>&1"
