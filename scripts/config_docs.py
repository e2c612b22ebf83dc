"""Write what is made from keys and columns: config/README.md, config/schema.json, docs/metrics.md.

The keys stand in diffusion4k/config/keys, the columns in diffusion4k/metrics/families. A table is
what lies between `<!-- keys: SECTION … -->`, of those sections, or `<!-- columns -->`, and
`<!-- end -->`. --check compares instead of writing.
"""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from diffusion4k import cli
from diffusion4k.config import fidelity
from diffusion4k.config.keys.schema import Schema, editor_schema
from diffusion4k.config.resolve import read, resolve
from diffusion4k.errors import UserError
from diffusion4k.files import write_text
from diffusion4k.metrics import families

CONFIG = Path(__file__).resolve().parent.parent / "config"
METRICS = CONFIG.parent / "docs" / "metrics.md"
TABLE = re.compile(r"<!-- keys: (.*?) -->\n.*?<!-- end -->", re.DOTALL)
COLUMNS = re.compile(r"(<!-- columns -->\n\|.*?\n\|.*?)\n.*?(<!-- end -->)", re.DOTALL)


def parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--check", action="store_true", help="compare, write nothing")
    return flags


def rows(schema: Schema, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each key as documented (`train.steps`, `models.<name>.label`) and its row of the table."""

    def below(node: Schema, prefix: str) -> Iterator[tuple[str, str]]:
        for name, key in node.get("properties", {}).items():
            full = prefix + name
            inner = resolved(key)
            entries = inner.get("patternProperties", {"": inner.get("additionalProperties") or {}})
            meaning = key["description"] + _fidelity(full)
            cells = (f"`{full}`", _type(inner), _value(full, key, values), meaning)
            yield full, "| " + " | ".join(cells) + " |"
            yield from below(inner, f"{full}.")
            for entry in entries.values():
                yield from below(resolved(entry), f"{full}.<name>.")

    def resolved(node: Schema) -> Schema:
        reference = node.get("$ref", "").rpartition("/")[2]
        return node | schema["$defs"][reference] if reference else node

    yield from below({"properties": schema["properties"]}, "")


def _type(node: Schema) -> str:
    """What a value may be: choices, or a type with its limits."""
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(_type(choice) for choice in node["anyOf"]))
    if node.get("type") == "object":
        return "mapping"
    if choices := node.get("enum"):
        return ", ".join(f"`{choice}`" for choice in choices)
    if node["type"] == "array":
        return f"list of {_type(node['items'])}"
    words = {"string": "text", "boolean": "true or false"}
    text = words.get(node["type"], node["type"])
    if "multipleOf" in node:
        text = f"multiple of {node['multipleOf']}"
    limits = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {node[limit]:g}" for limit, sign in limits.items() if limit in node]
    return " ".join([text, ", ".join(bounds)]) if bounds and "multipleOf" not in node else text


def _value(key: str, node: Schema, values: dict[str, Any]) -> str:
    """The paper's value, or what a key that is left out amounts to; empty for mappings."""
    value: Any = values
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is not None and ("anyOf" in node or not isinstance(value, dict)):
        return f"`{_yaml(value)}`"
    return f"default `{_yaml(node['default'])}`" if "default" in node else ""


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()


def _fidelity(key: str) -> str:
    """`; **fidelity**` with the two values, and the entries that it is about, of a row's key."""
    governed = {}
    for row in fidelity.ROWS.values():
        for name, values in row.items():
            match = re.fullmatch(re.escape(key).replace("<name>", "(.+)"), name)
            if match:
                governed[" ".join(match.groups())] = " → ".join(
                    f"`{_yaml(value)}`" for value in values
                )
    texts = [f"for `{n}` ({v})" if n else f"({v})" for n, v in governed.items()]
    return f"; **fidelity** {', '.join(texts)}" if texts else ""


def filled(text: str, table_rows: list[tuple[str, str]]) -> str:
    """README.md with its tables made anew; UserError unless each section is in exactly one."""
    shown = [section for match in TABLE.finditer(text) for section in match[1].split()]
    sections = {key for key, _ in table_rows if "." not in key}
    if sorted(shown) != sorted(sections):
        wrong = sections ^ set(shown) or {name for name in shown if shown.count(name) > 1}
        raise UserError(f"config/README.md: {', '.join(sorted(wrong))} must be in one table")

    def table(match: re.Match) -> str:
        order = match[1].split()
        mine = [(key.split(".")[0], line) for key, line in table_rows]
        lines = [line for section in order for name, line in mine if name == section]
        head = ["| key | type | value | meaning |", "|---|---|---|---|"]
        return "\n".join([f"<!-- keys: {match[1]} -->", *head, *lines, "<!-- end -->"])

    return TABLE.sub(table, text)


def columns() -> Iterator[str]:
    """The rows of the table of columns."""
    for key, (family, column) in families.columns().items():
        meaning = column.about or (getattr(column.of, "__doc__", "") or "").partition("\n")[0]
        meaning = meaning or ("" if family.manifest else "published by others, not measured here")
        yield f"| `{key}` | {column.label} | {column.direction} | {family.name} | {meaning} |"


def run(args: argparse.Namespace) -> None:
    schema, readme, metrics = editor_schema(), CONFIG / "README.md", METRICS.read_text("utf-8")
    paper = read(CONFIG / "config.yaml") | read(CONFIG / "site.yaml")
    listed = list(rows(schema, resolve(paper) | {"fidelity": paper["fidelity"]}))
    texts = {
        CONFIG / "schema.json": json.dumps(schema, indent=1, ensure_ascii=False) + "\n",
        readme: filled(readme.read_text(encoding="utf-8"), listed),
        METRICS: COLUMNS.sub(lambda m: "\n".join([m[1], *columns(), m[2]]), metrics),
    }
    for path, text in texts.items():
        if not args.check:
            write_text(path, text)
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            raise UserError(f"{path}: not what its keys say; run make docs")


if __name__ == "__main__":
    cli.main(run, parser())
