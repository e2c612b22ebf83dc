"""The paper's claims: which tables, comparisons and votes they are judged by."""

import json
from pathlib import Path

from diffusion4k.config.resolve import Config
from diffusion4k.dag import code as digests
from diffusion4k.dag import paper, people
from diffusion4k.dag.paths import file, root
from diffusion4k.metrics import families

FORMS = ("json", "md")
MEMORY = "memory_gb"  # the column of a claim about what fits


def files(config: Config) -> list[str]:
    """What the rule makes, the manifest first."""
    return [f"{root(config)}/claims.{form}" for form in FORMS]


def tables(config: Config) -> list[str]:
    """The names of the tables that claims are read from."""
    named = {claim.get("table") for claim in config["claims"].values()}
    return [name for name in paper.chosen(config, "tables") if name in named]


def table_manifests(config: Config) -> list[str]:
    """Their manifests."""
    return paper.tables(config, tables(config))


def pairs(config: Config) -> list[tuple[str, str, str, str, str]]:
    """(claim, family, row, the row it is better than, evaluation) where prompts can be paired.

    Both rows have a score of each prompt then. The table's own comparisons are mostly with its
    base; a claim may be about any two rows.
    """
    paired = []
    for name, claim in config["claims"].items():
        table = config["tables"].get(claim.get("table"))
        chosen = claim.get("table") in tables(config)
        if not chosen or "than" not in claim or claim["column"] not in table["columns"]:
            continue
        family = families.columns()[claim["column"]][0]
        rows, of = [claim["better"], claim["than"]], paper.families_of(config, claim["table"])
        there = all(r in table["rows"] and not paper.reason(config, r, of) for r in rows)
        if family.paired and there:
            paired.append((name, family.name, *rows, table["evaluation"]))
    return paired


def comparisons(config: Config) -> list[tuple[str, str]]:
    """(claim, manifest) of the paired differences."""
    return [
        (claim, file(config, f"metrics/{row}/{evaluation}/{family}-against-{other}.json"))
        for claim, family, row, other, evaluation in pairs(config)
    ]


def votes(config: Config) -> str | None:
    """The manifest of people's and judges' votes, if the configuration has any."""
    return next(iter(people.votes(config)), None)


def read_by(config: Config) -> list[str]:
    """Every manifest that the claims are judged by."""
    compared = [path for _, path in comparisons(config)]
    paths = [*table_manifests(config), *compared, *people.votes(config)]
    return list(dict.fromkeys(paths))


def published(config: Config) -> list[Path]:
    """The paper's numbers of all tables that claims are read from, for the digest too."""
    named = dict.fromkeys(c["table"] for c in config["claims"].values() if "table" in c)
    return [path for name in named if (path := Path("config/published", f"{name}.csv")).is_file()]


def code(config: Config) -> str:
    """Digest of the code that judges claims, and of the numbers that it reads."""
    return digests.of("claims.py", also=published(config))


def listed(config: Config) -> str:
    """The claims, each with what its column and rows are called, as JSON."""
    claims = [{"id": name} | of | _words(config, of) for name, of in config["claims"].items()]
    return json.dumps(claims)


def _words(config: Config, claim: dict) -> dict:
    """What a claim's column and rows are called, and whose published numbers they have."""
    if "table" not in claim:
        return {}
    table, of = config["tables"][claim["table"]], paper.families_of(config, claim["table"])
    key = claim.get("column", MEMORY)
    _, column = families.columns()[key]
    rows = [claim[role] for role in ("better", "than", "best") if role in claim]
    rows += [*claim.get("cannot", []), *claim.get("fits", [])]
    labels = {row: paper.label(config, row, table.get("evaluation"), of) for row in rows}
    as_ = {row: config["models"].get(row, {}).get("published_as") for row in rows}
    words = {"head": column.label, "labels": labels, "metric": column.metric or key}
    return words | {"published_as": {row: other for row, other in as_.items() if other}}
