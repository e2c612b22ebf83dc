"""What is wrong with the shape of a configuration, one line a fault, without pydantic's words."""

import re
import reprlib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from diffusion4k.config.keys import Configuration

# where pydantic speaks of its own types
_WORDS = {"model_type": "should be a mapping of keys", "dict_type": "should be a mapping of names"}
_NUMBERS = ("float_type", "int_type")
_SHORT = reprlib.Repr()
_SHORT.maxstring = 120
_KEY = "[key]"  # pydantic's mark of a fault in a mapping's key and not in its value


def faults(config: Any, *, complete: bool) -> Iterator[str]:
    """`key: what is wrong`, a line a fault; `complete`: a missing key is one too."""
    try:
        Configuration.model_validate(config)
    except ValidationError as raised:
        errors = raised.errors(include_url=False)
    else:
        return
    missing: dict[str, list[str]] = {}
    for error in errors:
        *section, key = map(str, error["loc"] or ("",))
        if error["type"] == "missing":
            missing.setdefault(_joined(section), []).append(key)
        elif error["type"] == "extra_forbidden":
            known = list(_section(error["loc"][:-1]).model_fields)
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            yield f"{_joined(section)}: unknown key {key!r}; {hint}"
        else:
            yield f"{_joined([*section, key])}: {_explain(error)}"
    if complete:
        for where, names in missing.items():
            yield f"{where}: missing {', '.join(names)}"


def _explain(error: ErrorDetails) -> str:
    given = _SHORT.repr(error["input"])
    if error["type"] in _NUMBERS and (number := _number(error["input"], error["type"])):
        return f"{given} is a text to YAML; write {number}"
    if error["type"] in _WORDS:
        return f"{given} {_WORDS[error['type']]}"
    if error["type"] == "value_error":
        text = str(error["ctx"]["error"])
        place_says_it = error["loc"][-1] == _KEY or isinstance(error["input"], dict)
        return text if place_says_it else f"{given}: {text}"
    if error["msg"].startswith("Input "):
        return f"{given} {error['msg'].removeprefix('Input ')}"
    return f"{given}: {error['msg']}"


def _number(text: Any, kind: str) -> str:
    """A text that means a number, as YAML 1.1 takes it for one of its kind; else ""."""
    found = re.fullmatch(r"([+-]?)(\d+\.?\d*|\.\d+)(?:[eE]([+-]?)(\d+))?", str(text))
    if not isinstance(text, str) or not found:
        return ""
    if kind == "int_type":
        return f"{float(text):.0f}" if float(text).is_integer() else ""
    sign, digits, of_exponent, exponent = found.groups()
    whole, _, part = digits.partition(".")
    number = f"{sign}{whole or 0}.{part or 0}"
    return f"{number}e{of_exponent or '+'}{exponent}" if exponent else number


def _joined(parts: Sequence[str]) -> str:
    return ".".join(part for part in parts if part != _KEY) or "top level"


def _section(place: Sequence[int | str]) -> type[BaseModel]:
    """The model of the section at `place`."""
    section: Any = Configuration
    for part in place:
        if isinstance(section, type) and issubclass(section, BaseModel):
            section = section.model_fields[str(part)].annotation
        else:  # the values of a mapping of names
            section = get_args(section)[-1]
    return section
