"""What a table's and a figure's spec may say; a slip becomes one line and not a wrong table."""

import json
from pathlib import Path
from typing import Any

import jsonschema

from diffusion4k.errors import UserError

_TEXT = {"type": "string", "minLength": 1}
TABLE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["title", "columns", "rows"],
    "properties": {
        "title": _TEXT,
        "caption": {"type": "string"},
        # evaluation whose rows of context.csv are appended, e.g. eval_2048
        "context": _TEXT,
        # row -> the row that its numbers are compared with, pair by pair, and that one's label
        "against": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["row", "label"],
                "properties": {"row": _TEXT, "label": _TEXT},
            },
        },
        "footer": {"type": "array", "items": _TEXT},
        "columns": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["metric", "label", "digits", "family"],
                "properties": {
                    # in the manifest's results
                    "metric": _TEXT,
                    # in the published CSV and in the finished table, where it differs
                    "key": _TEXT,
                    "label": _TEXT,
                    "direction": {"enum": ["lower", "higher", "none"]},
                    "digits": {"type": "integer", "minimum": 0},
                    "family": _TEXT,
                    # largest difference (absolute) that counts as reproduced
                    "tolerance": {"type": "number", "minimum": 0},
                    # nothing is sampled: equal numbers are equal as printed
                    "exact": {"type": "boolean"},
                    # a time, which only the same GPU can reproduce
                    "timed": {"type": "boolean"},
                    # what it says is said by its interval: shown in every form
                    "interval": {"type": "boolean"},
                    # why nothing here measures it: published numbers alone
                    "reason": _TEXT,
                    # what it measures, for readers
                    "about": _TEXT,
                },
            },
        },
        "rows": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["key", "label"],
                "properties": {
                    "key": _TEXT,
                    "label": _TEXT,
                    # the row whose published numbers stand beside it, where that is another, and
                    # what that one is called
                    "published_as": _TEXT,
                    "published_label": _TEXT,
                    # why no run can fill the row
                    "reason": {"type": ["string", "null"]},
                },
            },
        },
    },
}

FIGURE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "title": _TEXT,
        "caption": {"type": "string"},
        # what each row of --rows is called; the order of columns or panels
        "labels": {"type": "object", "additionalProperties": _TEXT},
        # of the figure's kind
        "settings": {"type": "object"},
        "footer": {"type": "array", "items": _TEXT},
    },
}


def load(text: str) -> Any:
    """A spec from the command line: JSON itself, or the path of a JSON file."""
    try:
        return json.loads(text if text.lstrip().startswith("{") else Path(text).read_text("utf-8"))
    except FileNotFoundError:
        raise UserError(f"--spec {text}: no such file, and not a JSON object") from None
    except ValueError as error:
        raise UserError(f"--spec: not JSON ({error})") from None


def check_table(spec: Any) -> None:
    """Raise a one-line UserError for a spec with an unknown key, a wrong type or a name twice."""
    _check(spec, TABLE, "table spec")
    _unique([column_key(column) for column in spec["columns"]], "table spec, columns: a key")
    _unique([row["key"] for row in spec["rows"]], "table spec, rows: a key")


def column_key(column: dict[str, Any]) -> str:
    """What a column is called in the published CSV and in the finished table."""
    return column.get("key", column["metric"])


def check_figure(spec: Any) -> None:
    """Raise a one-line UserError for a spec with an unknown key or a wrong type."""
    _check(spec, FIGURE, "figure spec")


def _check(spec: Any, schema: dict, name: str) -> None:
    errors = jsonschema.Draft202012Validator(schema).iter_errors(spec)
    if first := next(errors, None):
        raise UserError(f"{name}, {first.json_path}: {first.message}")


def _unique(names: list[str], what: str) -> None:
    if len(set(names)) < len(names):
        raise UserError(f"{what} comes twice in {', '.join(names)}")
