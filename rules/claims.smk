# Needs: tables, comparisons, votes.
# Gives: claims.json and .md, what the run says of each of the paper's claims.
from diffusion4k.dag import claims


localrules:
    judge_claims,


rule judge_claims:
    "Says of each claim of the paper what this run found; the target `claims` makes all it rests on."
    input:
        claims.read_by(CONFIG),
    output:
        manifest="<results>/claims.json",
        text="<results>/claims.md",
    log:
        "<logs>/claims.log",
    benchmark:
        "<benchmarks>/claims.tsv"
    conda:
        "../envs/paper.yaml"
    params:
        code=lambda w: claims.code(CONFIG),
        flags=flags(
            claims=lambda w: claims.listed(CONFIG),
            tables=lambda w: claims.table_manifests(CONFIG),
            comparisons=lambda w: named(claims.comparisons(CONFIG)),
            votes=lambda w: claims.votes(CONFIG),
            published=lambda w: named((path.stem, path) for path in claims.published(CONFIG)),
        ),
    shell:
        "python scripts/claims.py {params.flags} --output {output.manifest} > {log} 2>&1"
