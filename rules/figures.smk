# Needs: pictures drawn for figures, photographs, VAEs, checks, training manifests, votes.
# Gives: figures/<figure>.json (.png .pdf .tex beside it), and a named target for each figure.
from diffusion4k.dag import figures


localrules:
    figure,


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
        of_figure=flags(
            # VAE => what is its own; its `vae` is the manifest that it is in
            rows=each(
                "vae",
                key("figures.{figure}.rows"),
                vae=lambda w: figures.vae_manifest(CONFIG, w.vae),
                factor=key("vaes.{vae}.factor"),
                encoder=key("vaes.{vae}.encoder", "vae.encoder"),
                decoder=key("vaes.{vae}.decoder", "vae.decoder"),
            ),
            dataset=lambda w: figures.photographs(CONFIG, w.figure),
            folder=lambda w: figures.photograph_folder(CONFIG, w.figure),
            count=lambda w: CONFIG["figures"][w.figure]["count"],
        ),
        flags=flags(
            size=key("reconstruction.size"),
            vae_tiling=key("reconstruction.vae_tiling"),
            tf32=key("reconstruction.tf32"),
        ),
    shell:
        "{resources.launch} scripts/rebuild.py {params.of_figure} {params.flags}"
        " --output {output} > {log} 2>&1"


rule figure:
    "Draws one figure, as PNG and PDF, and a LaTeX environment with its caption."
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
        tex="<results>/figures/{figure}.tex",
    log:
        "<logs>/figures/{figure}.log",
    benchmark:
        "<benchmarks>/figures/{figure}.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=lambda w: figures.digest(CONFIG, w.figure),
        kind=key("figures.{figure}.kind"),
        flags=flags(
            spec=lambda w: figures.spec(CONFIG, w.figure, footer(w.figure)),
            rows=lambda w: named(figures.rows(CONFIG, w.figure)),
            reference=lambda w: figures.reference(CONFIG, w.figure),
            folder=lambda w: figures.reference_folder(CONFIG, w.figure),
        ),
    shell:
        "python scripts/figure.py {params.kind} {params.flags} --output {output.manifest} > {log} 2>&1"


# each figure is a target by its name, which names all that it rests on: Snakemake does not miss an
# intermediate file whose downstream exists
for figure in CONFIG["figures"]:

    rule:
        "This figure, and all that it rests on."
        name:
            figure
        input:
            lambda w, of=figure: LINEAGE.behind(figures.manifests(CONFIG, [of])),
        localrule: True
