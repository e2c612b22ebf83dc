"""The paper's claims: which tables, comparisons and votes they are judged by."""

import json

from diffusion4k.config.resolve import Config
from diffusion4k.dag import paper, people
from diffusion4k.dag.flags import command_line
from diffusion4k.dag.paths import file, root
from diffusion4k.metrics import families

FORMS = ("json", "md")


def files(config: Config) -> list[str]:
    """What the rule makes, the manifest first."""
    return [f"{root(config)}/claims.{form}" for form in FORMS]


def tables(config: Config) -> list[str]:
    """The names of the tables that claims are read from."""
    named = {claim.get("table") for claim in config["claims"].values()}
    return [name for name in paper.chosen(config, "tables") if name in named]


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


def votes(config: Config) -> list[str]:
    """The manifest of people's and judges' votes, if the configuration has any."""
    return people.votes(config)


def read_by(config: Config) -> list[str]:
    """Every manifest that the claims are judged by."""
    compared = [path for _, path in comparisons(config)]
    paths = paper.tables(config, tables(config)) + compared + votes(config)
    return list(dict.fromkeys(paths))


def flags(config: Config) -> str:
    """The flags of scripts/claims.py."""
    claims = []
    for name, claim in config["claims"].items():
        metric = {}
        if "column" in claim:
            metric["metric"] = families.columns()[claim["column"]][1].metric or claim["column"]
        claims.append({"id": name} | claim | metric)
    return command_line(
        claims=json.dumps(claims),
        tables=paper.tables(config, tables(config)),
        comparisons=[f"{claim}={path}" for claim, path in comparisons(config)],
        votes=next(iter(votes(config)), None),
    )
