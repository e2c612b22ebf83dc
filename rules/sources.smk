# Needs: the sources of the configuration, each a hub repository, a URL, a path, or "make".
# Gives: sources/<source>.json, a manifest whose root is the folder that holds the source. A hub's
#        files lie in its own cache (HF_HOME). A download that fails goes on in the next try;
#        that it waits is said on the terminal too.
from diffusion4k.dag import sources


localrules:
    fetch_source,


rule fetch_source:
    "Downloads a source, or lists what lies at a path, with checksums."
    output:
        "<results>/sources/{source}.json",
    log:
        "<logs>/sources/{source}.log",
    benchmark:
        "<benchmarks>/sources/{source}.tsv"
    wildcard_constraints:
        source=alternatives(sources.fetched(CONFIG)),
    retries: 3  # retry.JOBS
    conda:
        "../envs/gpu.yaml"
    threads: threads("source")
    resources:
        **asks("source"),
        # shown with the job: what a gated repository needs
        licence=lambda w: sources.to_accept(CONFIG, w.source),
    params:
        # no digest of the code: revision and checksums decide the bytes, not how they were brought
        flags=flags(
            hub=key("sources.{source}.hub"),
            type=key("sources.{source}.type"),
            revision=key("sources.{source}.revision"),
            only=key("sources.{source}.only"),
            ignore=key("sources.{source}.ignore"),
            url=key("sources.{source}.url"),
            path=key("sources.{source}.path"),
            sha256=key("sources.{source}.sha256"),
        ),
        files=lambda w: sources.own_files(CONFIG, w.source),
        folder=subpath(output[0], strip_suffix=".json"),
    shell:
        "python scripts/fetch.py {params.flags} --folder {params.folder} --output {output}"
        " --aloud 3 3>&2 > {log} 2>&1"


rule make_source:
    "Makes a source of the miniature: photographs, pipelines, metric networks."
    output:
        "<results>/sources/{source}.json",
    log:
        "<logs>/sources/{source}.log",
    benchmark:
        "<benchmarks>/sources/{source}.tsv"
    wildcard_constraints:
        source=alternatives(sources.built(CONFIG)),
    priority: 10
    conda:
        "../envs/gpu.yaml"
    threads: threads("source")
    resources:
        **asks("source"),
    params:
        code=code("make_miniature.py"),
        flags=flags(
            key("sources.{source}.options"),
            what=key("sources.{source}.make"),
            seed=key("seed"),
        ),
        folder=subpath(output[0], strip_suffix=".json"),
    shell:
        "python scripts/make_miniature.py {params.flags} --folder {params.folder}"
        " --output {output} > {log} 2>&1"
