# Needs: the sources of the configuration, each a hub repository, a URL, a path, or "make".
# Gives: sources/<source>.json, a manifest whose root is the folder that holds the source.
FETCHED = [name for name, s in CONFIG["sources"].items() if configuration.origin(s) != "make"]
MADE = [name for name in CONFIG["sources"] if name not in FETCHED]
_told = set()


def source(name):
    return f"{R}/sources/{name}.json"


def split_source(split):
    return source(CONFIG["splits"][split]["source"])


def backbone_source(backbone):
    return source(CONFIG["backbones"][backbone]["source"])


def has_token():
    folder = os.environ.get("HF_HOME", "~/.cache/huggingface")
    stored = Path(os.environ.get("HF_TOKEN_PATH", f"{folder}/token")).expanduser()
    return bool(os.environ.get("HF_TOKEN")) or stored.is_file()


def check_licence(wildcards):
    """Before any job starts: a gated repository needs a token and an accepted licence."""
    entry = CONFIG["sources"][wildcards.source]
    if not entry.get("gated") or Path(source(wildcards.source)).exists():
        return []
    need = (
        f"source {wildcards.source}: {entry['hub']} is gated; accept its licence at"
        f" https://huggingface.co/{entry['hub']}, then set HF_TOKEN"
        f" (or give sources.{wildcards.source}.path)"
    )
    if not workflow.dryrun and not has_token():
        raise WorkflowError(need)
    if wildcards.source not in _told:
        _told.add(wildcards.source)
        found = "a token is set" if has_token() else "no token is set"
        print(f"note: {need}: {found}", file=sys.stderr)
    return []


def fetch_flags(wildcards):
    entry = dict(CONFIG["sources"][wildcards.source])
    entry.pop("gated", None)
    return flags(**entry)


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
        source=alternatives(FETCHED),
    retries: 3
    conda:
        "../envs/gpu.yaml"
    threads: ask("source", "threads")
    resources:
        mem_mb=ask("source", "mem_mb"),
        runtime=ask("source", "runtime"),
    params:
        code=code("fetch.py"),
        flags=fetch_flags,
        folder=lambda w: f"{R}/sources/{w.source}",
    shell:
        "python scripts/fetch.py {params.flags} --folder {params.folder} --output {output}"
        " > {log} 2>&1"


def make_flags(wildcards):
    entry = CONFIG["sources"][wildcards.source]
    return flags(what=entry["make"], seed=SEED, **entry.get("options", {}))


rule make_source:
    output:
        f"{R}/sources/{{source}}.json",
    log:
        f"{R}/logs/sources/{{source}}.log",
    benchmark:
        f"{R}/benchmarks/sources/{{source}}.tsv"
    wildcard_constraints:
        source=alternatives(MADE),
    priority: 10
    conda:
        "../envs/gpu.yaml"
    threads: ask("source", "threads")
    resources:
        mem_mb=ask("source", "mem_mb"),
        runtime=ask("source", "runtime"),
    params:
        code=code("make_miniature.py"),
        flags=make_flags,
        folder=lambda w: f"{R}/sources/{w.source}",
    shell:
        "python scripts/make_miniature.py {params.flags} --folder {params.folder}"
        " --output {output} > {log} 2>&1"
