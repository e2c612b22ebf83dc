# Needs: generated images, prompts; the files that raters sent back (`votes`, `ratings`).
# Gives: people/kit-<purpose>.json, with the page for raters in people/kit-<purpose>/ and its key
#        beside it; people/votes.json, with every vote in votes.csv; people/ratings.json, with every
#        rating in ratings.csv, which Table 1 reads; people/judge.json, with the votes of a model in
#        judge.csv. Targets: rating_kit, judge.
from diffusion4k.dag import people


localrules:
    rating_kit,
    kit,


rule rating_kit:
    "The pages that ask people: pairs of pictures for Figure 6, patches for Table 1."
    input:
        lambda w: LINEAGE.behind([people.kit(CONFIG, of) for of in ("pairs", "ratings")]),


rule kit:
    "Builds one page that asks people about pictures, and the key that says who drew them."
    input:
        images=lambda w: [path for _, path in people.pictures(CONFIG, w.purpose)],
        captions=lambda w: [path for _, path in people.captions(CONFIG, w.purpose)],
        dataset=people.dataset(CONFIG),
    output:
        "<results>/people/kit-{purpose}.json",
    log:
        "<logs>/people/kit-{purpose}.log",
    benchmark:
        "<benchmarks>/people/kit-{purpose}.tsv"
    wildcard_constraints:
        purpose="pairs|ratings",
    conda:
        "../envs/paper.yaml"
    params:
        code=lambda w: people.kit_code(),
        flags=flags(
            images=lambda w: named(people.pictures(CONFIG, w.purpose)),
            captions=lambda w: named(people.captions(CONFIG, w.purpose)),
            folder=lambda w: people.folder(CONFIG),
            prompts=key("people.prompts"),
            embed_mb=key("people.embed_mb"),
            seed=key("seed"),
            groups=lambda w: people.joined(people.groups(CONFIG, w.purpose)),
            # pairs of whole pictures
            side=people.of("pairs", key("people.side")),
            # one picture's patches
            patch=people.of("ratings", key("metrics.glcm.patch")),
            across=people.of("ratings", key("people.patches")),
        ),
    shell:
        "python scripts/rating_kit.py {wildcards.purpose} --dataset {input.dataset} {params.flags}"
        " --output {output} > {log} 2>&1"


# nobody judges by default: it costs
if "judge" in CONFIG:

    rule judge:
        "The votes of a model on the pairs."
        input:
            lambda w: LINEAGE.behind(people.judges(CONFIG)),
        localrule: True

    rule judge_pairs:
        "Lets a model judge the pairs by the paper's prompt, each in both orders."
        input:
            images=lambda w: [path for _, path in people.pictures(CONFIG, "pairs")],
            captions=lambda w: [path for _, path in people.captions(CONFIG, "pairs")],
            dataset=people.dataset(CONFIG),
        output:
            "<results>/people/judge.json",
        log:
            "<logs>/people/judge.log",
        benchmark:
            "<benchmarks>/people/judge.tsv"
        localrule: True  # a compute node may have no network
        conda:
            "../envs/paper.yaml"
        resources:
            # not params: what decides no answer
            how=flags(
                token_env=key("endpoints.{judge.endpoint}.token_env"),
                price=key("endpoints.{judge.endpoint}.price", then=in_and_out),
                max_cost=key("judge.max_cost"),
                workers=key("endpoints.{judge.endpoint}.workers"),
                retries=key("endpoints.{judge.endpoint}.retries"),
                timeout=key("endpoints.{judge.endpoint}.timeout"),
            ),
        params:
            code=lambda w: people.judge_code(),
            flags=flags(
                pairs=key("people.pairs", then=people.joined),
                images=lambda w: named(people.pictures(CONFIG, "pairs")),
                captions=lambda w: named(people.captions(CONFIG, "pairs")),
                folder=lambda w: people.folder(CONFIG),
                prompts=key("people.prompts"),
                base_url=key("endpoints.{judge.endpoint}.base_url"),
                model=key("endpoints.{judge.endpoint}.model"),
                temperature=key("endpoints.{judge.endpoint}.temperature"),
                max_tokens=key("endpoints.{judge.endpoint}.max_tokens"),
                side=key("endpoints.{judge.endpoint}.side"),
            ),
        shell:
            "python scripts/judge.py --dataset {input.dataset} {params.flags} {resources.how}"
            " --output {output} > {log} 2>&1"


# there are none without files; the paper's were never released
if people.votes(CONFIG):

    rule votes:
        "Counts the votes on pairs of pictures: win rates, agreement, strengths."
        input:
            unpack(lambda w: people.voted(CONFIG)),
            dataset=people.dataset(CONFIG),
        output:
            "<results>/people/votes.json",
        log:
            "<logs>/people/votes.log",
        benchmark:
            "<benchmarks>/people/votes.tsv"
        localrule: True
        conda:
            "../envs/paper.yaml"
        params:
            code=lambda w: people.count_code("votes.py", people.voted(CONFIG)),
            flags=flags(
                pairs=key("people.pairs", then=people.joined),
                folder=lambda w: people.folder(CONFIG),
                partial=key("people.partial"),
                seed=key("seed"),
                answers=lambda w: people.voted(CONFIG)["answers"],
                kit=lambda w: people.voted(CONFIG).get("kit"),
                judges=lambda w: people.voted(CONFIG).get("judges"),
            ),
        shell:
            "python scripts/votes.py --dataset {input.dataset} {params.flags} --output {output}"
            " > {log} 2>&1"


if "ratings" in CONFIG:

    rule ratings:
        "Brings the ratings of pictures together, for Table 1."
        input:
            unpack(lambda w: people.rated(CONFIG)),
        output:
            manifest="<results>/people/ratings.json",
            csv="<results>/people/ratings.csv",
        log:
            "<logs>/people/ratings.log",
        benchmark:
            "<benchmarks>/people/ratings.tsv"
        localrule: True
        conda:
            "../envs/paper.yaml"
        params:
            code=lambda w: people.count_code("ratings.py", people.rated(CONFIG)),
            flags=flags(
                partial=key("people.partial"),
                answers=lambda w: people.rated(CONFIG)["answers"],
                kit=lambda w: people.rated(CONFIG).get("kit"),
            ),
        shell:
            "python scripts/ratings.py {params.flags} --output {output.manifest} > {log} 2>&1"
