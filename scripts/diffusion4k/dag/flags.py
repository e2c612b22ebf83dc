"""Command-line flags from keyword arguments, so that a person can copy a job's line and run it."""

import shlex
from collections.abc import Iterable
from typing import Any


def command_line(**values: Any) -> str:
    """True is --key, False --no-key, None nothing, a list is spread; quoted for a shell.

    What begins with "-" is written --key=-text, which argparse does not take for a flag; so is a
    list that has such a text, item by item (its option adds up: action="extend").
    """
    words: list[str] = []
    for key, value in values.items():
        flag = "--" + key.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        elif isinstance(value, list | tuple):
            items = [shlex.quote(str(item)) for item in value]
            dash = any(isinstance(item, str) and item.startswith("-") for item in value)
            words += [f"{flag}={item}" for item in items] if dash else [flag, *items]
        elif str(value).startswith("-"):
            words.append(f"{flag}={shlex.quote(str(value))}")
        elif value is not None:
            words += [flag, shlex.quote(str(value))]
    return " ".join(words)


def named(files: Iterable[tuple[str, Any]]) -> list[str] | None:
    """Files as a flag has them, NAME=FILE; None, and so no flag, where there are none."""
    return [f"{name}={path}" for name, path in files] or None


def alternatives(names: Iterable[str]) -> str:
    """A wildcard constraint that matches these names and nothing else."""
    return "|".join(names) or "(?!)"
