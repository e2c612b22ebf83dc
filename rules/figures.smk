# Needs: pipelines, prompts of a data set or of one's own, photographs, checks, training manifests.
# Gives: pictures/<figure>/…, drawn for that figure alone: few, and the same bytes as a benchmark's;
#        figures/<figure>.json (.png .pdf beside it), and a named target for each figure.
from diffusion4k.dag import figures


localrules:
    prompts,
    figure,


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
        flags=lambda w: figures.prompt_flags(CONFIG, w.prompts),
        content=lambda w: figures.prompt_digest(CONFIG, w.prompts),
    shell:
        "python scripts/prompts.py {params.flags} --output {output} > {log} 2>&1"


rule draw:
    "Draws a figure's pictures, of all its models: few, so that starting is most of the work."
    input:
        lambda w: figures.draw_inputs(CONFIG, w.figure),
    output:
        "<results>/pictures/{figure}/shard-{shard}-of-{shards}.json",
    log:
        "<logs>/pictures/{figure}/{shard}-of-{shards}.log",
    benchmark:
        "<benchmarks>/pictures/{figure}/{shard}-of-{shards}.tsv"
    wildcard_constraints:
        figure=alternatives(figures.reading(CONFIG, "pictures")),
    conda:
        "../envs/gpu.yaml"
    threads: threads("generate")
    resources:
        **asks("generate"),
        # not params: offloading changes memory and time, not the image
        offload=flags(offload=key("generate.offload")),
    params:
        code=code("draw.py"),
        of_figure=lambda w: figures.draw_flags(CONFIG, w.figure),
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
        "{resources.launch} scripts/draw.py {params.of_figure} {params.flags} {resources.offload}"
        " --shard {wildcards.shard} --shards {wildcards.shards} --output {output} > {log} 2>&1"


rule rebuild:
    "Sends a figure's photographs through its VAEs and back; scores nothing."
    input:
        lambda w: figures.rebuild_inputs(CONFIG, w.figure),
    output:
        "<results>/pictures/{figure}/rebuilt.json",
    log:
        "<logs>/pictures/{figure}/rebuilt.log",
    benchmark:
        "<benchmarks>/pictures/{figure}/rebuilt.tsv"
    wildcard_constraints:
        figure=alternatives(figures.reading(CONFIG, "reconstructions")),
    conda:
        "../envs/gpu.yaml"
    threads: threads("reconstruct")
    resources:
        **asks("reconstruct"),
    params:
        code=code("rebuild.py"),
        flags=lambda w: figures.rebuild_flags(CONFIG, w.figure),
    shell:
        "{resources.launch} scripts/rebuild.py {params.flags} --output {output} > {log} 2>&1"


rule figure:
    "Draws one figure, as PNG and PDF."
    input:
        lambda w: figures.inputs(CONFIG, w.figure),
    output:
        manifest="<results>/figures/{figure}.json",
        picture=report(
            "<results>/figures/{figure}.png",
            category="Figures",
            caption="../report/captions/figure.rst",
            labels={"figure": "{figure}"},
        ),
        pdf="<results>/figures/{figure}.pdf",
    log:
        "<logs>/figures/{figure}.log",
    benchmark:
        "<benchmarks>/figures/{figure}.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=lambda w: figures.digest(CONFIG, w.figure),
        kind=key("figures.{figure}.kind"),
        flags=lambda w: figures.flags(CONFIG, w.figure, DEVIATIONS.footer(w.figure)),
    shell:
        "python scripts/figure.py {params.kind} {params.flags} --output {output.manifest} > {log} 2>&1"


# each figure is a target by its name, which names all that it rests on: Snakemake does not miss an
# intermediate file whose downstream exists
for name in CONFIG["figures"]:

    rule:
        name:
            name
        input:
            lambda w, of=name: LINEAGE.behind(figures.manifests(CONFIG, [of])),
        localrule: True
