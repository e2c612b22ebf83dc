"""What a claim of the paper must say of itself, and that what it names is there."""

from collections.abc import Iterator
from typing import Any

from diffusion4k.config.relations import unknown
from diffusion4k.metrics import families

Config = dict[str, Any]

# the keys of a claim besides its text; in brackets those that it may have too
KINDS = (
    ("table", "column", "better", "than"),
    ("table", "column", "best"),
    ("table", "cannot", "[fits]", "[memory_gb]"),
    ("figure", "question", "better", "than", "[by]"),
)


def faults(config: Config) -> Iterator[str]:
    """One line for each claim that is none, or that names what is not there.

    A row or column that its table lacks is no fault: a configuration may show fewer, and the claim
    is not run.
    """
    for name, claim in config["claims"].items():
        key = f"claims.{name}"
        keys = set(claim) - {"text"}
        if not any(_fits(kind, keys) for kind in KINDS):
            kinds = "; ".join(", ".join(kind) for kind in KINDS)
            yield f"{key}: {', '.join(claim)}; besides text, a claim has one of: {kinds}"
            continue
        if "table" in claim:
            yield from unknown(config, f"{key}.table", claim["table"], "tables")
        if "column" in claim and claim["column"] not in families.columns():
            yield f"{key}.column: no column {claim['column']!r} in any table"
        for role in ("better", "than", "best", "cannot", "fits"):
            rows = claim.get(role, [])
            for row in [rows] if isinstance(rows, str) else rows:
                if row not in _rows(config):
                    yield f"{key}.{role}: no row {row!r} in any table"


def _fits(kind: tuple[str, ...], keys: set[str]) -> bool:
    needed = {key for key in kind if not key.startswith("[")}
    return needed <= keys <= {key.strip("[]") for key in kind}


def _rows(config: Config) -> set[str]:
    sections = ("models", "splits", "vaes", "efficiency", "unavailable")
    return {name for section in sections for name in config[section]} | set(families.rated())
