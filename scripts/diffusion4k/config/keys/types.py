"""Types that several sections share, and the base of every section."""

import dataclasses
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from diffusion4k import limits

# the default of a key that may be left out and then stays absent; null is no value of it
ABSENT: Any = None


class Section(BaseModel):
    """Keys with a type, limits and a meaning each; unknown keys and other types are faults."""

    model_config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


def in_words_of(settings: type) -> Callable[[type[Section]], type[Section]]:
    """A section's keys mean what the trainer's flags of their names say, within the same limits.

    settings: the recipe that has them as fields, of train/settings.py. A key with a text below it
    means that instead.
    """
    flags = {field.name: field.metadata for field in dataclasses.fields(settings)}

    def told(section: type[Section]) -> type[Section]:
        for name, key in section.model_fields.items():
            flag = flags.get(name, {"within": {}})
            key.description = key.description or flag["help"]
            if get_origin(key.annotation) is not list:  # whose items have the limits
                key.metadata += Field(**flag["within"]).metadata
        section.model_rebuild(force=True)
        return section

    return told


def matching(pattern: str, explanation: str) -> Any:
    """A text that matches all of `pattern`; a fault says `explanation`."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(explanation)
        return text

    return Annotated[
        str, AfterValidator(check), Field(json_schema_extra={"pattern": f"^{pattern}$"})
    ]


def _once(value: list[Any]) -> list[Any]:
    for place, item in enumerate(value):
        if item in value[:place]:
            raise ValueError(f"{item} comes twice")
    return value


def each_once(of: Any, *, least: int = 1) -> Any:
    """A list of at least so many different items."""
    schema = {"uniqueItems": True}
    return Annotated[
        list[of], Field(min_length=least, json_schema_extra=schema), AfterValidator(_once)
    ]


def _seed(number: int) -> int:
    if number >= 2**63:  # torch's generators take no more
        raise ValueError("should be at most 2^63 - 1")
    return number


def one_of(*numbers: int) -> Any:
    """One of some integers; a Literal of them would take true for 1 and 8.0 for 8."""

    def check(number: int) -> int:
        if number not in numbers:
            raise ValueError(f"should be {' or '.join(map(str, numbers))}")
        return number

    return Annotated[int, AfterValidator(check), Field(json_schema_extra={"enum": list(numbers)})]


def _size(least: int, multiple: int) -> Any:
    """The side of a square or [height, width], in px."""
    of = f", multiples of {multiple} px" if multiple > 1 else ""
    side = {"type": "integer", "minimum": least} | ({"multipleOf": multiple} if of else {})
    both = {"type": "array", "items": side, "minItems": 2, "maxItems": 2}

    def check(value: Any) -> Any:
        numbers = value if isinstance(value, list) and len(value) == 2 else [value]
        if not all(type(n) is int and n >= least and n % multiple == 0 for n in numbers):
            raise ValueError(f"should be a side or [height, width]{of}")
        return value

    return Annotated[Any, AfterValidator(check), WithJsonSchema({"anyOf": [side, both]})]


def _pace(value: Any) -> Any:
    minutes = value["minutes"] if isinstance(value, dict) and [*value] == ["minutes"] else None
    steps = type(value) is int and value >= 1
    if not steps and not (type(minutes) in (int, float) and 0 < minutes < float("inf")):
        raise ValueError("should be a number of steps, at least 1, or {minutes: …}")
    return value


_MINUTES = {"type": "number", "exclusiveMinimum": 0}
_TIME = {"type": "object", "properties": {"minutes": _MINUTES}, "additionalProperties": False}

# names are of files, which a file system takes up to 255 bytes long
Name = matching("[a-z0-9_]{1,100}", "a name has small letters, digits and _ only, 100 at most")
# a line break would end a row of a Markdown table
Line = matching(r"[^\n\r]+", "should be one line (YAML's >- makes one of several), not empty")
Names = each_once(Name)
Where = matching(r"[\s\S]+", "empty; it would mean the checkout itself, so give a path")
Natural = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0), AfterValidator(_seed)]
Count = Annotated[int, Field(ge=1)]
Tokens = Annotated[int, Field(ge=1, le=limits.T5_TOKENS)]
Side = Annotated[int, Field(ge=32, multiple_of=32)]
Shape, Least = _size(32, 32), _size(1, 1)
Pace = Annotated[
    Any,
    AfterValidator(_pace),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, _TIME]}),
]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Choice = Literal["published", "corrected"]
Precision = Literal["float32", "bfloat16", "float16"]
