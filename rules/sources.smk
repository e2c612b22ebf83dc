# Needs: the sources of the configuration, each a hub repository, a URL, a path, or "make".
# Gives: sources/<source>.json, a manifest whose root is the folder that holds the source. A hub's
#        files lie in its own cache (HF_HOME). A download that fails goes on in the next try.


localrules:
    fetch_source,


rule fetch_source:
    input:
        check_licence,
    output:
        f"{R}/sources/{{source}}.json",
    log:
        f"{R}/logs/sources/{{source}}.log",
    benchmark:
        f"{R}/benchmarks/sources/{{source}}.tsv"
    wildcard_constraints:
        source=alternatives(S.fetched),
    retries: 3
    conda:
        "../envs/gpu.yaml"
    threads: S.threads("source")
    resources:
        **S.resources("source"),
    params:
        # no digest of the code: revision and checksums decide the bytes, not how they were brought
        flags=S.fetch_flags,
        files=S.fetch_files,
        folder=lambda w: f"{R}/sources/{w.source}",
    shell:
        "python scripts/fetch.py {params.flags} --folder {params.folder} --output {output}"
        " > {log} 2>&1"


rule make_source:
    output:
        f"{R}/sources/{{source}}.json",
    log:
        f"{R}/logs/sources/{{source}}.log",
    benchmark:
        f"{R}/benchmarks/sources/{{source}}.tsv"
    wildcard_constraints:
        source=alternatives(S.made),
    priority: 10
    conda:
        "../envs/gpu.yaml"
    threads: S.threads("source")
    resources:
        **S.resources("source"),
    params:
        code=lambda w: S.code("make_miniature.py"),
        flags=S.make_flags,
        folder=lambda w: f"{R}/sources/{w.source}",
    shell:
        "python scripts/make_miniature.py {params.flags} --folder {params.folder}"
        " --output {output} > {log} 2>&1"
